# Bent logs of every benchmark, division and ruleset; cases.py bends one log in every way, this bends all logs in some.
# SPDX-License-Identifier: Apache-2.0
"""Each case is (ruleset, name, bytes)."""
import copy
import math
import random

from cases import ABSENT, doubled, first, log_of, mixed, moved, with_field, with_value, without
from sound_logs import DIVISIONS, RULESETS, SETTINGS, TARGETS, all_sound, deepseekv3_671b, llama31_405b, sound_log

# Keys that have the same rules in every log; cases.py bends them all.
SHARED = {"cache_clear", "init_start", "init_stop", "run_start", "run_stop", "block_start", "block_stop", "eval_start",
          "eval_stop", "submission_org", "submission_platform", "seed", "tracked_stats", "train_samples"}


def own_keys(records):
    return [key for key in dict.fromkeys(r["key"] for r in records) if key not in SHARED]


def per_key(base):
    for key in own_keys(base):
        value = base[first(base, key)]["value"]
        yield f"{key}: removed", without(base, key)
        yield f"{key}: twice, other value", doubled(base, key, 7)
        wrong = {"null": None, "text": str(value), "list": [value], "zero": 0, "negative": -1, "true": True}
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            wrong |= {"whole": int(value), "as double": float(value), "next": math.nextafter(value, math.inf),
                      "before": math.nextafter(value, -math.inf), "one more": value + 1, "NaN": math.nan,
                      "Infinity": math.inf, "tiny": 1e-300, "large": 2 ** 63 + 5, "near 2^53": 2 ** 53 + 1}
        for name, bad in wrong.items():
            yield f"{key}: value {name}", with_value(base, key, bad)
        yield f"{key}: first of all", moved(base, key, before="cache_clear") if key != "cache_clear" else base
        yield f"{key}: last of all", moved(base, key, after="run_stop")
        yield f"{key}: no metadata", with_field(base, key, "metadata", ABSENT)


def targets(base, benchmark):
    """Losses at every limit of any rule of either division."""
    for key in ("eval_accuracy", "averaged_validation_loss"):
        if not any(r["key"] == key for r in base):
            continue
        for limit in {TARGETS[benchmark][0], 1.0, 0.0}:
            for value in (limit, math.nextafter(limit, math.inf), math.nextafter(limit, -math.inf)):
                yield f"{key} {value!r}", with_value(base, key, value)
        for name, metadata in {"epoch_num": {"epoch_num": 1}, "samples_count": {"samples_count": 1}, "nothing": {},
                               "null": None, "text": "epoch_num and samples_count"}.items():
            yield f"{key} with {name}", with_field(base, key, "metadata", metadata)
        yield f"one {key} null", with_value(base, key, None, every=False)
        yield f"no {key}", without(base, key)


def formulas(ruleset, division):
    """Learning rates and steps that follow from the batch size, in the spellings people use."""
    # At 1584, 1680 and 3168 two neighbouring doubles hold the rule, which multiplies instead of dividing.
    for batch in (576, 960, 1008, 1152, 1280, 1584, 1680, 2304, 3168, 3456, 4608, 6912, 9216, 18432):
        sound = llama31_405b(batch)
        steps = (math.ceil(1200000 * 1152 / batch), math.ceil(8000 * 1152 / batch))
        for name, change in {
                "": {}, "regrouped": {"opt_base_learning_rate": 8e-5 * (batch / 1152)},
                "rounded": {"opt_base_learning_rate": round(8e-5 * batch / 1152, 8)},
                "next": {"opt_base_learning_rate": math.nextafter(8e-5 * batch / 1152, 1)},
                "before": {"opt_base_learning_rate": math.nextafter(8e-5 * batch / 1152, 0)},
                "own warm-up": {"opt_learning_rate_warmup_steps": 17},
                "decay with own warm-up": {"opt_learning_rate_warmup_steps": 17,
                                           "opt_learning_rate_decay_steps": steps[0] - 17},
                "decay off by one": {"opt_learning_rate_decay_steps": steps[0] - steps[1] + 1}}.items():
            yield f"batch {batch} {name}", sound_log(ruleset, division, "llama31_405b", sound | change)
    for batch in (None, "1152", 0, -1152, 1e-300, True, [1152]):
        base = with_value(sound_log(ruleset, division, "llama31_405b"), "global_batch_size", batch)
        yield f"405b batch {batch!r}", base
        yield f"405b batch {batch!r}, rate 0", with_value(base, "opt_base_learning_rate", 0)
    if ruleset == "5.1.0":
        return
    for batch in (15359, 15360, 15361, 16384, 18432, 32768):
        sound = deepseekv3_671b(batch)
        rate = sound["opt_base_learning_rate"]
        for name, value in {"": rate, "rounded": round(rate, 9), "1e-9 above": rate + 1e-9, "1.0002e-9 above": rate + 1.0002e-9,
                            "almost 1e-9 above": rate + 0.999e-9, "not scaled": 2.4e-05}.items():
            yield (f"batch {batch} {name}",
                   sound_log(ruleset, division, "deepseekv3_671b", sound | {"opt_base_learning_rate": value}))
    for warmup in (3, 4, 4.0, 5, True, "4", None):
        out = with_value(sound_log(ruleset, division, "deepseekv3_671b"), "opt_learning_rate_warmup_steps", warmup)
        yield f"deepseek warm-up {warmup!r}", out
        if isinstance(warmup, (int, float)):
            yield (f"deepseek warm-up {warmup!r}, decay fits",
                   with_value(out, "opt_learning_rate_decay_steps", 12000 - warmup))


def names(base):
    """Benchmarks and divisions that lead to other rules, or to none. "common" would keep the official checker for ever."""
    for benchmark in sorted(set(SETTINGS) | {"llama31-8b", "resnet", "gpt3", "ssd", "stable_diffusion", ""}):
        yield f"named {benchmark}", with_value(base, "submission_benchmark", benchmark)
    for division in ("Open", "OPEN", "./closed", "./open", "closed/", "common", "", None):
        yield f"division {division!r}", with_value(base, "submission_division", division)
    yield "division after everything", moved(base, "submission_division", after="run_stop")
    yield "benchmark before division", moved(base, "submission_benchmark", before="submission_division")
    yield "no division", without(base, "submission_division")
    yield "no benchmark", without(base, "submission_benchmark")


def bytes_of(base):
    """Encodings and cuts; one record of the benchmark's own rules is hit."""
    good = log_of(base)
    lines = good.split(b"\n")[:-1]
    at = first(base, "global_batch_size")
    yield "as written", good
    yield "CRLF", log_of(base, "\r\n")
    yield "UTF-16", good.decode().encode("utf-16")
    yield "eight ranks interleaved", b"".join(b"%4d: %s\n" % (rank, line) for line in lines for rank in range(8))
    yield "two streams mixed in a line", b"\n".join(lines[:at] + [lines[at] + lines[at + 1]] + lines[at + 2:])
    yield "a line torn in two", b"\n".join(lines[:at] + [lines[at][:40], lines[at][40:]] + lines[at + 1:])
    for part in (0.25, 0.5, 0.9, 0.999):
        yield f"cut at {part}", good[:int(part * len(good))]
    yield "NUL bytes in between", good.replace(b"\n", b"\n\0\0\0\n")
    yield "NUL bytes in a record", b"\n".join(lines[:at] + [lines[at][:30] + b"\0" + lines[at][30:]] + lines[at + 1:])


# Cases that stand right at the limits of rules: never left out.
ALWAYS = (": removed", ": value zero", ": value next", ": value before")


def drawn(cases, count, seed):
    """Those at limits, and that many of the others, the same ones every time; all of them when count is None."""
    cases = list(cases)
    others = [case for case in cases if not case[0].endswith(ALWAYS)]
    if count is None or count >= len(others):
        return cases
    return [case for case in cases if case[0].endswith(ALWAYS)] + random.Random(seed).sample(others, count)


def all_cases(per_log=None):
    """per_log: so many of each log's cases about single keys, drawn; None: all."""
    for ruleset, division, benchmark in all_sound():
        base = sound_log(ruleset, division, benchmark)
        name = f"{ruleset} {division} {benchmark}"
        for what, content in bytes_of(base):
            yield ruleset, f"{name}, {what}", content
        families = [drawn(per_key(base), per_log, name), targets(base, benchmark), mixed(base, 6, f"{name} 20260729")]
        if benchmark in ("llama2_70b_lora", RULESETS[ruleset][-1]):
            families.append(names(base))
        for family in families:
            for what, records in family:
                yield ruleset, f"{name}, {what}", log_of(records)
        # The other round's rules are asked of the same log.
        other = next(r for r in RULESETS if r != ruleset)
        yield other, f"{name} under {other}", log_of(copy.deepcopy(base))
    for ruleset in RULESETS:
        for division in DIVISIONS:
            for what, records in formulas(ruleset, division):
                yield ruleset, f"{ruleset} {division}, {what}", log_of(records)
