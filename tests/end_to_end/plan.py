"""What `timetrial plan` prints for every shape and form of every workload, against the numbers of the workload spec.

SPDX-License-Identifier: Apache-2.0
"""
import json

import programs
from programs import SOURCE, Case, run

# Parameters, active ones and those in products N_mm: spec 1, 14, 15.1 to 15.3, 18.2, 18.4. The prediction module's products
# are those of spec 1.3 and 15.3. Attention: (query heads, channels of query + value, windowed layers' keys, layers, length).
GPT_OSS = {
    "full": ((64, 128, {"reference": 129}, 128, 24, 8192), {
        "reference": (20488418112, 3766907712, 3397386240), "submitted": (20495244864, 3767928384, 3397386240),
        "published": (20914757184, 4187440704, 3607142400)}),
    "1b": ((32, 128, {"reference": 129}, 128, 6, 2048), {
        "reference": (1063257088, 237503488, 195543040), "submitted": (1064017024, 237618304, 195543040),
        "published": (1064017024, 237618304, 195543040)}),
    "10m": ((16, 32, {"reference": 17}, 16, 8, 256), {
        "reference": (9551296, 4242880, 3452928), "submitted": (9592192, 4256128, 3452928),
        "published": (9592192, 4256128, 3452928)}),
    "1m": ((8, 32, {"reference": 9}, 8, 4, 64), {
        "reference": (1196000, 532448, 433152), "submitted": (1206176, 535712, 433152),
        "published": (1206176, 535712, 433152)}),
}
LLAMA = {
    "full": ((128, 256, 126, 8192), {"reference": (402724438016, 402183421952), "published": (405853388800, 403747897344)}),
    "1b": ((32, 256, 4, 2048), {"reference": (1065390080, 931135488), "published": (1065390080, 931135488)}),
    "10m": ((16, 32, 10, 256), {"reference": (9884928, 8830976), "published": (9884928, 8830976)}),
    "1m": ((16, 16, 4, 64), {"reference": (1041536, 909312), "published": (1041536, 909312)}),
}
# Main, module, active, N_mm of the main model and of the module.
DEEPSEEK = {
    "full": ((128, 320, 61, 4096), (671026404352, 11610067968, 37552282624, 36624596992, 1614741504)),
    "1b": ((16, 320, 9, 2048), (939221632, 109450880, 234578560, 200998912, 54919168)),
    "10m": ((8, 80, 4, 256), (8203136, 1942944, 4664192, 3612672, 1810432)),
    "1m": ((4, 40, 4, 64), (839328, 200496, 507552, 408064, 187648)),
}
# Training FLOP per token where the spec states them (14, 18.4); the others follow from its formula.
STATED = {("gpt_oss_20b", "reference"): 22876024320, ("gpt_oss_20b", "submitted"): 22875443712,
          ("gpt_oss_20b", "published"): 24133980672, ("llama31_405b", "reference"): 2514581520384,
          ("llama31_405b", "published"): 2523968372736, ("deepseekv3_671b", "reference"): 260649271296}


def visible_keys(length, window=None):
    """Mean keys that a query sees, counted one by one."""
    return sum(min(query + 1, window or length) for query in range(length)) / length


def attention(heads, channels, length, windows):
    """Training FLOP per token of the attention products of layers with these windows (None: all keys)."""
    return sum(3 * 2 * heads * channels * visible_keys(length, window) for window in windows)


class Plan(Case):
    def plan(self, workload, variant, form, *settings):
        done = run("plan", SOURCE / f"configs/small/{workload}.json", "--json", "--set", f"variant={variant}",
                   "--set", f"form={form}", *settings, cwd=SOURCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def holds(self, plan, parameters, active, matmul, flops):
        self.assertEqual(plan["parameters"], parameters)
        self.assertEqual(plan["active_parameters"], active)
        self.assertEqual(plan["matmul_parameters"], matmul)
        self.assertEqual(plan["train_flops_per_token"], flops)
        if plan["variant"] == "full":
            self.assertEqual(plan["train_flops_per_token"], STATED[plan["workload"], plan["form"]])

    def test_gpt_oss_20b(self):
        for variant, ((heads, channels, of_form, window, layers, length), forms) in GPT_OSS.items():
            for form, counts in forms.items():
                with self.subTest(variant=variant, form=form):
                    windows = [of_form.get(form, window), None] * (layers // 2)
                    flops = 6 * counts[2] + attention(heads, channels, length, windows)
                    self.holds(self.plan("gpt_oss_20b", variant, form), *counts, flops)

    def test_llama31_405b(self):
        for variant, ((heads, channels, layers, length), forms) in LLAMA.items():
            for form, (parameters, matmul) in forms.items():
                with self.subTest(variant=variant, form=form):
                    flops = 6 * matmul + attention(heads, channels, length, [None] * layers)
                    self.holds(self.plan("llama31_405b", variant, form), parameters, parameters, matmul, flops)
        for multiple, parameters, flops in [(512, 402707660800, 2514531188736), (256, 402699272192, 2514506022912)]:
            plan = self.plan("llama31_405b", "full", "reference", "--set", f"model.vocabulary_multiple={multiple}")
            self.assertEqual(plan["parameters"], parameters)
            self.assertEqual(plan["train_flops_per_token"], flops)

    def test_deepseekv3_671b(self):
        for variant, ((heads, channels, layers, length), counts) in DEEPSEEK.items():
            with self.subTest(variant=variant):
                main, module, active, matmul, module_matmul = counts
                plan = self.plan("deepseekv3_671b", variant, "reference")
                flops = 6 * (matmul + module_matmul) + attention(heads, channels, length, [None] * (layers + 1))
                self.holds(plan, main + module, active, matmul, flops)
                self.assertEqual(plan["multi_token_parameters"], module)
                self.assertEqual(plan["multi_token_matmul_parameters"], module_matmul)
                if variant == "full":
                    self.assertEqual(plan["expert_biases"], 15104)
                    self.assertEqual(plan["multi_token_train_flops_per_token"], 10191888384)
                    self.assertEqual(plan["evaluation_flops_per_token"], 83485794304)

    def test_the_examples_of_plan_work(self):
        text = run("plan", "--help").stdout.replace("\\\n", " ")
        lines = [line.split() for line in text.splitlines() if line.startswith("  timetrial plan ")]
        self.assertEqual(len(lines), 2, text)
        for line in lines:
            done = run(*line[1:], cwd=SOURCE)
            self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    programs.main()
