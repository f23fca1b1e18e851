"""Checkpoints, evaluation alone and step metrics, through the programs as a user runs them.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import resource
import subprocess

import programs
from programs import SOURCE, Case, records, run, values

FORMS = [("gpt_oss_20b", "published"), ("gpt_oss_20b", "submitted"), ("llama31_405b", "reference"),
         ("deepseekv3_671b", "reference")]


class Trained(Case):
    """A few steps of training whose weights are kept."""

    def trained(self, workload, form, **changes):
        more = {"llama31_405b": {"evaluation__skip_first": 0, "model__vocabulary_multiple": 1},
                "deepseekv3_671b": {"train__decay_steps": 20}}.get(workload, {})
        config = self.tiny_config(workload=workload, form=form, train__max_steps=6, evaluation__every_samples=48,
                                  output__checkpoint=str(self.folder / "weights"), **more, **changes)
        done = run("run", config)
        self.assertEqual(done.returncode, 1, done.stderr)  # six steps reach no target
        return config, values(self.folder / "run" / "result_0.txt", "eval_accuracy")[-1]


class Checkpoints(Trained):
    def test_evaluation_alone_gives_the_loss_that_training_saw(self):
        for workload, form in FORMS:
            with self.subTest(workload=workload, form=form):
                self.setUp()
                config, loss = self.trained(workload, form)
                done = run("run", config, "--eval-only", "--checkpoint", self.folder / "weights",
                           "--set", f"output.folder={self.folder / 'evaluated'}")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"evaluation loss {loss:.6f} over 8 sequences", done.stdout)
                log = self.folder / "evaluated" / "result_0.txt"
                self.assertEqual(values(log, "eval_accuracy"), [loss])  # fp32 weights: to the last bit
                self.assertEqual(values(log, "timetrial_evaluation_only"), [True])
                stop = [r for r in records(log) if r["key"] == "run_stop"]
                self.assertEqual(stop[0]["metadata"]["status"], "aborted")  # never to be taken for a result
                self.assertEqual(values(log, "tracked_stats"), [])

    def test_evaluation_alone_needs_no_training_data(self):
        config, loss = self.trained("llama31_405b", "reference")
        for file in self.folder.glob("tiny-train.*"):
            file.unlink()
        done = run("run", config, "--eval-only", "--checkpoint", self.folder / "weights", "--json",
                   "--set", f"output.folder={self.folder / 'evaluated'}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["evaluation_loss"], loss)

    def test_training_goes_on_from_a_checkpoint(self):
        config, loss = self.trained("gpt_oss_20b", "submitted")
        done = run("run", config, "--checkpoint", self.folder / "weights", "--set", "output.checkpoint=",
                   "--set", f"output.folder={self.folder / 'more'}", "--set", "train.learning_rate=0")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(values(self.folder / "more" / "result_0.txt", "eval_accuracy")[-1], loss)

    def test_evaluation_alone_without_weights_is_refused(self):
        self.assert_one_line_error(run("run", self.tiny_config(), "--eval-only"), "--checkpoint DIR")
        self.assertFalse((self.folder / "run").exists())

    def test_inspect_verify_convert(self):
        config, loss = self.trained("gpt_oss_20b", "published")
        weights = self.folder / "weights"
        seen = run("checkpoint", "inspect", weights)
        self.assertEqual(seen.returncode, 0, seen.stderr)
        self.assertIn("model_type: gpt_oss", seen.stdout)
        self.assertIn("model.layers.*.mlp.experts.gate_up_proj", seen.stdout)
        listed = json.loads(run("checkpoint", "inspect", weights, "--json").stdout)
        self.assertEqual(listed["files"], 1)
        self.assertEqual({t["type"] for t in listed["tensors"]}, {"F32"})
        sound = run("checkpoint", "verify", weights, "--config", config)
        self.assertEqual(sound.returncode, 0, sound.stdout + sound.stderr)
        self.assertIn("fits gpt_oss_20b", sound.stdout)
        other = run("checkpoint", "verify", weights, "--config", config, "--set", "model.ffn=64")
        self.assertEqual(other.returncode, 1)
        self.assertIn("config.json: intermediate_size is 96, the run's model has 64", other.stdout)

        # The same type: bit by bit, whatever the shards.
        again = self.folder / "again"
        done = run("checkpoint", "convert", weights, again, "--dtype", "fp32", "--shard-gb", "0.0005")
        self.assertEqual(done.returncode, 0, done.stderr)
        shards = sorted(again.glob("model-*-of-*.safetensors"))
        self.assertGreater(len(shards), 3)
        back = self.folder / "back"
        self.assertEqual(run("checkpoint", "convert", again, back, "--dtype", "fp32").returncode, 0)
        self.assertEqual((back / "model.safetensors").read_bytes(), (weights / "model.safetensors").read_bytes())

        # bf16 and back to fp32 loses digits once, bf16 to bf16 nothing; the loss moves a little.
        half = self.folder / "half"
        self.assertEqual(run("checkpoint", "convert", weights, half, "--dtype", "bf16").returncode, 0)
        self.assertEqual(json.loads((half / "config.json").read_text())["dtype"], "bfloat16")
        evaluated = run("run", config, "--eval-only", "--checkpoint", half, "--json", "--set", "output.checkpoint=",
                        "--set", f"output.folder={self.folder / 'evaluated'}")
        self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
        other_loss = json.loads(evaluated.stdout)["evaluation_loss"]
        self.assertNotEqual(other_loss, loss)
        self.assertAlmostEqual(other_loss, loss, delta=0.01 * loss)
        self.assert_one_line_error(run("checkpoint", "convert", weights, half), "never overwritten")
        self.assert_one_line_error(run("checkpoint", "convert", weights, self.folder / "x", "--dtype", "int8"), "int8")

    def test_what_does_not_fit_is_named_before_anything_is_written(self):
        config, _ = self.trained("llama31_405b", "reference")
        file = self.folder / "weights" / "model.safetensors"
        whole = file.read_bytes()

        def refused(*needles):
            done = run("run", config, "--checkpoint", self.folder / "weights", "--set", "output.checkpoint=",
                       "--set", f"output.folder={self.folder / 'no'}")
            self.assert_one_line_error(done, *needles)
            self.assertFalse((self.folder / "no").exists())

        file.write_bytes(whole[:-100])
        refused("model.safetensors: is truncated: tensor model.norm.weight")
        file.write_bytes(whole.replace(b"model.norm.weight", b"model.nork.weight", 1))
        refused("tensor model.norm.weight of shape (128) is missing", "2 problems in all")
        length = int.from_bytes(whole[:8], "little")
        header = whole[8:8 + length].replace(b'"model.norm.weight":{"dtype":"F32","shape":[128]',
                                             b'"model.norm.weight":{"dtype":"F32","shape":[1,1]')
        file.write_bytes(whole[:8] + header + whole[8 + length:])
        refused("tensor model.norm.weight of shape (1, 1) and type F32 has 512 bytes, it needs 4")
        file.unlink()
        refused("has neither model.safetensors nor model.safetensors.index.json")

    def test_values_that_are_no_numbers_are_found(self):
        config, _ = self.trained("llama31_405b", "reference")
        file = self.folder / "weights" / "model.safetensors"
        content = bytearray(file.read_bytes())
        content[-4:] = b"\x00\x00\xc0\x7f"
        file.write_bytes(content)
        done = run("checkpoint", "verify", self.folder / "weights")
        self.assertEqual(done.returncode, 1)
        self.assertIn("model.norm.weight: 1 values are no finite numbers, the first at element 127", done.stdout)
        self.assertEqual(run("checkpoint", "verify", self.folder / "weights", "--quick").returncode, 0)
        done = run("run", config, "--eval-only", "--checkpoint", self.folder / "weights", "--set", "output.checkpoint=",
                   "--set", f"output.folder={self.folder / 'no'}")
        self.assertEqual(done.returncode, 2)
        self.assertIn("tensor model.norm.weight holds nan at element 127", done.stderr.splitlines()[-1])

    def test_a_checkpoint_may_be_larger_than_memory(self):
        """1.5 GB on paper (a sparse file) are verified by a process that may have 0.5 GB of address space."""
        if programs.sanitized():
            self.skipTest("the address sanitizer needs more address space than this test allows")
        elements = 375_000_000
        header = json.dumps({"model.norm.weight": {"dtype": "F32", "shape": [elements], "data_offsets": [0, 4 * elements]}})
        file = self.folder / "large.safetensors"
        with open(file, "wb") as out:
            out.write(len(header).to_bytes(8, "little") + header.encode())
            out.truncate(8 + len(header) + 4 * elements)

        def limited():
            resource.setrlimit(resource.RLIMIT_AS, (500_000_000, 500_000_000))

        done = run("checkpoint", "verify", file, preexec_fn=limited)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("sound, 1 tensors", done.stdout)
        done = run("checkpoint", "inspect", file, preexec_fn=limited)
        self.assertIn("375000000 elements", done.stdout)

    def test_transformers_loads_what_is_written(self):
        python = os.environ.get("TIMETRIAL_REFERENCE_PYTHON")
        if not python:
            self.skipTest("no Python with torch and transformers; set TIMETRIAL_REFERENCE_PYTHON")
        for workload, form in FORMS[1:]:
            with self.subTest(workload=workload, form=form):
                self.setUp()
                _, loss = self.trained(workload, form)
                line = [python, "-B", SOURCE / "tests/reference/evaluate_exported.py", self.folder / "weights",
                        f"{self.folder / 'tiny'}-validation", "8", "128"]
                done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertAlmostEqual(float(done.stdout.split()[-1]), loss, delta=1e-5 * loss)


class Metrics(Trained):
    def test_one_line_per_step(self):
        config = self.tiny_config()
        file = self.folder / "metrics.jsonl"
        done = run("run", config, "--metrics", file)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        logged = values(self.folder / "run" / "result_0.txt", "tracked_stats")
        self.assertEqual([line["step"] for line in lines], list(range(1, 21)))
        self.assertEqual([line["samples"] for line in lines], [8 * step for step in range(1, 21)])
        for line, record in zip(lines, logged):
            self.assertEqual(line["loss"], record["reduced_train_loss"])
            self.assertEqual(line["gradient_norm"], record["gradient_norm"])
            self.assertEqual(line["learning_rate"], record["learning_rate"])
            self.assertEqual(line["tokens"], 8 * 128)
            self.assertGreater(line["seconds"], 0)
            self.assertIsNone(line["communication_seconds"])  # there is nobody to talk to
            self.assertEqual(len(line["expert_load"]), 4)  # layers
            for layer in line["expert_load"]:
                self.assertEqual(len(layer), 8)
                self.assertEqual(sum(layer), 8 * 128 * 2)  # every token goes to two experts
        self.assertGreater(len({tuple(line["expert_load"][0]) for line in lines}), 1)
        self.assert_one_line_error(run("run", config, "--metrics", file, "--set", f"output.folder={self.folder / 'b'}"),
                                   "metrics.jsonl", "not overwritten")

    def test_ranks_tell_their_communication(self):
        file = self.folder / "metrics.jsonl"
        self.assertEqual(run("run", self.tiny_config(train__max_steps=5), "--ranks", "2", "--metrics", file).returncode, 1)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        self.assertEqual(len(lines), 5)
        for line in lines:
            self.assertGreater(line["communication_seconds"], 0)
            # None for a rank that comes last to every collective, as rank 0 may on a busy machine.
            self.assertGreaterEqual(line["exposed_seconds"], 0)
        self.assertLess(sum(line["exposed_seconds"] for line in lines), sum(line["seconds"] for line in lines))

    def test_losses_that_training_adds_are_reported(self):
        """A model without them says null, one with them says them in metrics, log and outcome alike."""
        file = self.folder / "plain.jsonl"
        self.assertEqual(run("run", self.tiny_config(train__max_steps=5), "--metrics", file).returncode, 1)
        for line in map(json.loads, file.read_text().splitlines()):
            self.assertIsNone(line["multi_token_loss"])
            self.assertIsNone(line["aux_loss"])
        self.assertNotIn("aux_loss", values(self.folder / "run" / "result_0.txt", "tracked_stats")[0])
        file = self.folder / "deepseek.jsonl"
        config = self.tiny_config(workload="deepseekv3_671b", train__max_steps=6, train__decay_steps=20)
        done = run("run", config, "--metrics", file, "--json", "--set", f"output.folder={self.folder / 'deepseek'}")
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        logged = values(self.folder / "deepseek" / "result_0.txt", "tracked_stats")
        self.assertEqual(len(lines), 6)
        for line, record in zip(lines, logged):
            self.assertEqual(line["multi_token_loss"], record["multi_token_loss"])
            self.assertEqual(line["aux_loss"], record["aux_loss"])
            self.assertNotEqual(line["multi_token_loss"], line["loss"])
            self.assertTrue(0.5 < line["aux_loss"] < 2, line["aux_loss"])  # 1 when every expert is chosen alike
            self.assertEqual(len(line["expert_load"]), 4)  # three layers with experts and the prediction module's
        # Both losses begin where a model that knows nothing stands.
        self.assertAlmostEqual(lines[0]["multi_token_loss"], lines[0]["loss"], delta=0.1 * lines[0]["loss"])
        outcome = json.loads(done.stdout)
        self.assertEqual(outcome["train_loss"], lines[-1]["loss"])
        self.assertEqual(outcome["multi_token_loss"], lines[-1]["multi_token_loss"])
        self.assertEqual(outcome["aux_loss"], lines[-1]["aux_loss"])
        told = run("run", config, "--set", f"output.folder={self.folder / 'again'}")
        self.assertIn(f"multi-token loss {outcome['multi_token_loss']:.4f}, auxiliary loss {outcome['aux_loss']:.4f}",
                      told.stdout)

    def test_a_dense_model_has_no_expert_load(self):
        config = self.tiny_config(workload="llama31_405b", train__max_steps=5, evaluation__skip_first=0)
        file = self.folder / "metrics.jsonl"
        self.assertEqual(run("run", config, "--metrics", file).returncode, 1)
        self.assertEqual([json.loads(line)["expert_load"] for line in file.read_text().splitlines()], [[]] * 5)


class Gate(Case):
    """A run that claims the benchmark and cannot be it does not start."""

    def config(self, workload, **changes):
        path = self.folder / "full.json"
        train = ["en_6", "en_7"] if workload == "llama31_405b" else "en_6"
        content = {"workload": workload, "variant": "full", "data.train": train, "data.validation": "nowhere",
                   "output.folder": str(self.folder / "run")}
        if workload != "gpt_oss_20b":
            content["data.checkpoint"] = "weights"
        content.update({key.replace("__", "."): value for key, value in changes.items()})
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def test_names_the_rule(self):
        for workload, changes, needles in [
            ("llama31_405b", {"train__learning_rate": 1e-4}, ["/train/learning_rate", "closed rules", "8e-05"]),
            ("llama31_405b", {"evaluation__skip_first": 0}, ["/evaluation/skip_first", "14"]),
            ("llama31_405b", {"evaluation__order": "cyclic"}, ["/evaluation/order", "file"]),
            ("llama31_405b", {"data__train": "en_6"}, ["/data/train", "2 files in equal shares"]),
            ("llama31_405b", {"data__train_weights": [2, 1]}, ["/data/train_weights", "equal shares"]),
            ("llama31_405b", {"train__global_batch": 1176}, ["/train/global_batch", "is the double that", "1175 and 1177"]),
            ("deepseekv3_671b", {"train__global_batch": 8192}, ["/train/global_batch", "no less than 15360"]),
            ("deepseekv3_671b", {"model__router__aux_loss": 1e-4}, ["/model/router/aux_loss", "0.01"]),
            ("deepseekv3_671b", {"evaluation__skip_first": 42}, ["/evaluation/skip_first", "0"]),
            ("gpt_oss_20b", {"evaluation__samples": 512}, ["/evaluation/samples", "1024"]),
            ("gpt_oss_20b", {"form": "published"}, ["/form", "take submitted or reference"]),
            ("gpt_oss_20b", {"data__checkpoint": "weights"}, ["/data/checkpoint", "leave it out"]),
            ("gpt_oss_20b", {"data__train": ["en_6", "en_7"]}, ["/data/train", "train on 1 file"]),
            ("llama31_405b", {"data__checkpoint": ""}, ["/data/checkpoint", "data.checkpoint=DIR"]),
            ("llama31_405b", {"model__vocabulary_multiple": 1000}, ["/model/vocabulary_multiple", "128 or 256"]),
            ("gpt_oss_20b", {"train__clip_norm": 2, "train__beta_2": 0.99}, ["(and 1 more)"]),
        ]:
            done = run("run", self.config(workload, **changes))
            self.assert_one_line_error(done, *needles)
            self.assertFalse((self.folder / "run").exists())
            self.assertEqual(run("run", self.config(workload, **changes), "--dry-run").returncode, 2)
            self.assertEqual(run("plan", self.config(workload, **changes)).returncode, 0)

    # The data of these configs are not there, and a test's machine need not hold them: both end the run after the plan.
    def assert_planned(self, config):
        plan = json.loads(run("run", config, "--dry-run", "--division", "open", "--json").stdout)
        self.assertEqual([f["level"] == "error" and "cannot be read" not in f["text"] and "more memory" not in f["text"] for f in plan["host_findings"]].count(True), 0)
        self.assertFalse(plan["would_start"])

    def test_the_open_division_lifts_it(self):
        config = self.config("gpt_oss_20b", train__clip_norm=2)
        self.assert_planned(config)
        config = self.config("llama31_405b", data__train="en_6", train__global_batch=1176, data__checkpoint="")
        self.assert_planned(config)
        config = self.config("gpt_oss_20b", model__sequence_length=4096)
        self.assert_one_line_error(run("run", config, "--division", "open"), "/model/sequence_length", "open rules")
        config = self.config("deepseekv3_671b", train__global_batch=8192)
        self.assert_one_line_error(run("run", config, "--division", "open"), "/train/global_batch", "open rules", "15360")

    def test_a_plan_warns_of_a_batch_without_a_reference_point(self):
        for workload, largest, above in [("gpt_oss_20b", 64, 66), ("llama31_405b", 4608, 9216), ("deepseekv3_671b", 18432, 18433)]:
            done = run("plan", self.config(workload, train__global_batch=largest), "--json")
            self.assertEqual(json.loads(done.stdout)["warnings"], [], done.stderr)
            done = run("plan", self.config(workload, train__global_batch=above))
            self.assertIn(f"Warning: a batch of {above} is above {largest}, the largest with a reference", done.stdout)
            done = run("plan", self.config(workload, train__global_batch=above), "--set", "submission.division=open")
            self.assertNotIn("Warning", done.stdout)
        # The run itself says so too, before what stops this one: there is no data.
        config = self.config("gpt_oss_20b", train__global_batch=66)
        self.assertIn("Warning: a batch of 66", run("run", config, "--dry-run").stdout)
        done = run("run", config)
        self.assertEqual(done.returncode, 2)
        self.assertIn("warning: a batch of 66 is above 64", done.stderr)


class SmallLlama(Case):
    def test_reaches_its_target_after_skipped_evaluations(self):
        done = run("run", SOURCE / "configs/small/llama31_405b.json", "--set", f"output.folder={self.folder / 'run'}",
                   "--set", "train.seed=1", cwd=SOURCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("rules: pass", done.stdout)
        log = self.folder / "run" / "result_0.txt"
        evaluations = [r["metadata"]["samples_count"] for r in records(log) if r["key"] == "eval_accuracy"]
        self.assertEqual(evaluations[0], 3 * 1024)  # two are skipped
        self.assertEqual(evaluations, [evaluations[0] + 1024 * i for i in range(len(evaluations))])
        losses = values(log, "eval_accuracy")
        self.assertLessEqual(losses[-1], values(log, "target_accuracy")[0])
        first_rate = next(r["value"]["learning_rate"] for r in records(log) if r["key"] == "tracked_stats")
        self.assertAlmostEqual(first_rate, 0.006 / 51, places=12)  # not zero at the first step


class SmallDeepSeek(Case):
    def test_reaches_its_target_and_reports_what_it_adds(self):
        done = run("run", SOURCE / "configs/small/deepseekv3_671b.json", "--set", f"output.folder={self.folder / 'run'}",
                   "--set", "train.seed=7", "--metrics", self.folder / "metrics.jsonl", cwd=SOURCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("rules: pass", done.stdout)
        self.assertIn("multi-token loss", done.stdout)
        log = self.folder / "run" / "result_0.txt"
        losses = values(log, "eval_accuracy")
        target = values(log, "target_accuracy")[0]
        self.assertLessEqual(losses[-1], target)
        self.assertTrue(all(loss > target for loss in losses[:-1]), "the run went on after the target")
        self.assertEqual(values(log, "moe_aux_loss_coeff"), [0.01])
        stats = [r["value"] for r in records(log) if r["key"] == "tracked_stats"]
        self.assertEqual(stats[0]["learning_rate"], 0)
        # The token after next is harder to tell, but is learned too; the auxiliary loss stays near that of equal use.
        self.assertGreater(stats[-1]["multi_token_loss"], stats[-1]["reduced_train_loss"])
        self.assertLess(stats[-1]["multi_token_loss"], 0.8 * stats[0]["multi_token_loss"])
        self.assertTrue(all(0.9 < s["aux_loss"] < 1.5 for s in stats), max(s["aux_loss"] for s in stats))
        self.assertEqual(run("check", log).returncode, 0)


if __name__ == "__main__":
    programs.main()
