# Logs to compare checkers on: one sound log, bent in every way that rules, parsers and people know.
# SPDX-License-Identifier: Apache-2.0
"""Each case is (name, bytes). Records are dictionaries in file order; ABSENT removes a field."""
import copy
import json
import random

TOKEN = ":::MLLOG "
ABSENT = object()
SUBMISSION = ("submission_org", "submission_platform", "submission_division", "submission_benchmark")


def read_records(path):
    with open(path, encoding="ascii") as log:
        return [json.loads(line[len(TOKEN):]) for line in log]


def line_of(record):
    return TOKEN + json.dumps({k: v for k, v in record.items() if v is not ABSENT})


def log_of(records, end="\n"):
    return "".join(line_of(r) + end for r in records).encode("latin-1")


def first(records, key):
    return next(i for i, r in enumerate(records) if r["key"] == key)


def with_value(records, key, value, every=True):
    out = copy.deepcopy(records)
    for r in out:
        if r["key"] == key:
            r["value"] = value
            if not every:
                break
    return out


def with_field(records, key, field, value):
    out = copy.deepcopy(records)
    out[first(out, key)][field] = value
    return out


def without(records, *keys):
    return [r for r in records if r["key"] not in keys]


def moved(records, key, before=None, after=None):
    out = list(records)
    record = out.pop(first(out, key))
    out.insert(first(out, before) if before else first(out, after) + 1, record)
    return out


def doubled(records, key, value=ABSENT):
    out = copy.deepcopy(records)
    at = first(out, key)
    extra = copy.deepcopy(out[at])
    if value is not ABSENT:
        extra["value"] = value
    out.insert(at + 1, extra)
    return out


def other_value(value):
    if isinstance(value, str):
        return "another"
    return value + 1 if isinstance(value, (int, float)) else 7


def per_key(base):
    """Every key of the log in every simple form of wrong."""
    for key in dict.fromkeys(r["key"] for r in base):
        value = base[first(base, key)]["value"]
        yield f"{key}: removed", without(base, key)
        yield f"{key}: twice, same value", doubled(base, key)
        yield f"{key}: twice, other value", doubled(base, key, other_value(value))
        wrong = {"other": other_value(value), "null": None, "true": True, "list": [value], "object": {"a": value},
                 "text": str(value), "empty text": "", "zero": 0, "negative": -1, "fraction": 0.5}
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            wrong |= {"float": float(value), "near": float(value) * (1 + 3e-16), "huge": 10 ** 25}
        for name, bad in wrong.items():
            yield f"{key}: value {name}", with_value(base, key, bad)
        for name, bad in {"empty": {}, "null": None, "text": "status samples_count", "number": 3, "list": ["status"],
                          "list with count": ["samples_count"], "epoch_num": {"epoch_num": 1},
                          "first_epoch_num": {"first_epoch_num": 1}}.items():
            yield f"{key}: metadata {name}", with_field(base, key, "metadata", bad)


def orders(base):
    for key, before in (("run_start", "init_stop"), ("init_stop", "init_start"), ("run_stop", "run_start"),
                        ("block_start", "run_start"), ("global_batch_size", "cache_clear"),
                        ("opt_learning_rate_decay_steps", "opt_learning_rate_warmup_steps"),
                        ("submission_benchmark", "submission_division")):
        yield f"{key} before {before}", moved(base, key, before=before)
    for key, after in (("init_start", "init_stop"), ("init_start", "run_start"), ("init_stop", "run_start"),
                       ("submission_division", "init_stop"), ("submission_benchmark", "run_stop"),
                       ("submission_division", "run_stop"), ("run_start", "run_stop"), ("cache_clear", "run_stop"),
                       ("opt_learning_rate_warmup_steps", "run_stop"), ("train_samples", "run_stop")):
        yield f"{key} after {after}", moved(base, key, after=after)
    yield "reversed", base[::-1]
    for key in ("run_start", "init_stop", "block_start", "run_stop"):
        yield f"ends before {key}", base[:first(base, key)]
    yield "nothing but the end", base[first(base, "run_stop"):]


def blocks(base):
    """Blocks, epochs and their metadata."""
    no_blocks = without(base, "block_start", "block_stop")
    yield "no blocks, no epochs", no_blocks
    yield "no evaluation records", without(base, "eval_start", "eval_stop", "eval_accuracy")
    yield "no blocks, no evaluations", without(no_blocks, "eval_start", "eval_stop")

    def event(key, metadata):
        return {"namespace": "", "time_ms": 1, "event_type": "POINT_IN_TIME", "key": key, "value": None,
                "metadata": metadata}

    def inserted(records, key, metadata, after="run_start"):
        out = list(records)
        out.insert(first(out, after) + 1, event(key, metadata))
        return out

    epochs = inserted(inserted(no_blocks, "epoch_stop", {"epoch_num": 1}), "epoch_start", {"epoch_num": 1})
    yield "epochs instead of blocks", epochs
    yield "epoch start only", inserted(no_blocks, "epoch_start", {"epoch_num": 1})
    yield "epoch without metadata", inserted(base, "epoch_start", {})
    for name, metadata in {
            "count and first": {"epoch_count": 1, "first_epoch_num": 1}, "count only": {"epoch_count": 1},
            "count zero": {"epoch_count": 0, "first_epoch_num": 1},
            "count text": {"epoch_count": "1", "first_epoch_num": 1},
            "count null": {"epoch_count": None, "first_epoch_num": 1}, "negative samples": {"samples_count": -1},
            "samples text": {"samples_count": "12"}, "samples true": {"samples_count": True},
            "samples null": {"samples_count": None}, "both": {"epoch_count": 1, "samples_count": 2}}.items():
        yield f"block with {name}", inserted(base, "block_start", metadata)
    yield "block before the run", inserted(base, "block_start", {"samples_count": 1}, after="cache_clear")


def times(base):
    def stamped(key, time):
        return with_field(base, key, "time_ms", time)

    start = base[first(base, "init_start")]["time_ms"]
    for name, time in {"limit - 1 ms": start + 1799999, "limit": start + 1800000, "a day": start + 86400000,
                       "backwards": start - 5000, "a fraction": start + 1799999.5, "text": str(start),
                       "text with blanks": f" {start} ", "text with _": "1_000_000", "text plus": "+5",
                       "text minus": "-5",
                       "text exponent": "1e3", "text nan": "nan", "text inf": "inf", "text -Infinity": "-Infinity",
                       "bad text": "1.2.3", "empty text": "", "hex": "0x10", "text _": "_1", "null": None, "true": True,
                       "list": [1], "NaN": float("nan"), "Infinity": float("inf")}.items():
        yield f"init_stop at {name}", stamped("init_stop", time)
        yield f"run_start at {name}", stamped("run_start", time)
    late = stamped("init_stop", start + 1800000)
    yield "late, open division", with_value(late, "submission_division", "open")
    yield "much later, open division", with_value(stamped("init_stop", start + 14400000), "submission_division", "open")
    again = copy.deepcopy(late)
    again.insert(first(again, "init_stop"), dict(again[first(again, "init_start")], time_ms=start + 10000))
    yield "late after the first of two starts", again
    earlier = copy.deepcopy(late)
    earlier.insert(first(earlier, "init_start") + 1, dict(earlier[first(earlier, "init_start")], time_ms=start - 10000))
    yield "two starts, the second earlier", earlier
    yield "no start, late", without(late, "init_start")


def values(base):
    for name, losses in {"at the target": 3.34, "just above": 3.3400000000000003, "just below": 3.3399999999999994,
                         "zero": 0.0, "negative": -1.0, "NaN": float("nan"), "Infinity": float("inf"),
                         "-Infinity": float("-inf"), "whole": 3}.items():
        yield f"losses {name}", with_value(base, "eval_accuracy", losses)
    one = with_value(base, "eval_accuracy", 9.9)
    yield "target reached once, early", with_value(one, "eval_accuracy", 3.3, every=False)
    yield "one loss null", with_value(base, "eval_accuracy", None, every=False)
    yield "one loss text", with_value(base, "eval_accuracy", "3.3", every=False)
    yield "eval metadata epoch_num only", with_field(base, "eval_accuracy", "metadata", {"epoch_num": 1})
    for division in ("open", "network", "Closed", "closed ", "../closed", 1, None, ["closed"]):
        yield f"division {division!r}", with_value(base, "submission_division", division)
    # "common" is left out: the official checker then reads its own common file for ever.
    for benchmark in ("gpt-oss-20b", "GPT_OSS_20B", "", 3, None):
        yield f"benchmark {benchmark!r}", with_value(base, "submission_benchmark", benchmark)
    open_log = with_value(base, "submission_division", "open")
    for key in ("global_batch_size", "opt_adamw_epsilon", "max_steps", "eval_samples", "opt_name",
                "gradient_accumulation_steps", "max_sequence_length"):
        yield f"open, no {key}", without(open_log, key)
        yield f"open, other {key}", with_value(open_log, key, other_value(base[first(base, key)]["value"]))
    yield "closed, then open", doubled(base, "submission_division", "open")
    yield "open, then closed", doubled(open_log, "submission_division", "closed")
    for warmup in (0, 1, 128.0, 1200000, 1200001, -1, 0.5, "128", None, True, float("nan")):
        out = with_value(base, "opt_learning_rate_warmup_steps", warmup)
        yield f"warm-up {warmup!r}", out
        if isinstance(warmup, (int, float)):
            yield f"warm-up {warmup!r}, decay fits", with_value(out, "opt_learning_rate_decay_steps", 1200000 - warmup)
    for value in (float("nan"), float("inf"), 2.000001, 2.00002, 1e308, "2", True, [2], None):
        yield f"micro batch {value!r}", with_value(base, "micro_batch_size", value)
    for precision in ("fp8", "bf16", "FP8", "Graphcore FLOAT 16.16", ["fp8"], None, ""):
        yield f"precision {precision!r}", with_value(base, "lowest_numerical_precision_in_comm", precision)
    for value in (float("nan"), [1, {"a": 1.0}], {"a": [None]}):
        yield f"organisation twice {value!r}", doubled(with_value(base, "submission_org", value), "submission_org")
    yield "batch 1 and true", doubled(with_value(base, "global_batch_size", 1), "global_batch_size", True)
    yield "batch 16 and 16.0", doubled(base, "global_batch_size", 16.0)
    yield "batch three times", doubled(doubled(base, "global_batch_size"), "global_batch_size", 17)


def texts(base):
    """Lines as files have them: prefixes, line ends, odd bytes, half records. Bytes, not records."""
    good = log_of(base)
    lines = good.split(b"\n")[:-1]
    at = first(base, "max_sequence_length")

    def line(index, change):
        return b"".join((change(l) if i == index else l) + b"\n" for i, l in enumerate(lines))

    def every(change):
        return b"".join(change(l) + b"\n" for l in lines)

    yield "as written", good
    yield "no newline at the end", good[:-1]
    yield "CRLF", log_of(base, "\r\n")
    yield "CR", log_of(base, "\r")
    yield "rank prefixes", every(lambda l: b"   0: " + l)
    yield "token in the prefix", every(lambda l: b":::MLLOG junk " + l)
    yield "two records on a line", line(at, lambda l: l + b" " + lines[at + 1])
    yield "record hidden behind a broken one", line(at, lambda l: l[:40] + l)
    yield "no space after the token", every(lambda l: l.replace(b":::MLLOG ", b":::MLLOG"))
    yield "one without space after the token", line(at, lambda l: l.replace(b":::MLLOG ", b":::MLLOG"))
    yield "tab after the token", line(at, lambda l: l.replace(b":::MLLOG ", b":::MLLOG\t"))
    yield "blanks after the token", line(at, lambda l: l.replace(b":::MLLOG ", b":::MLLOG  \t "))
    yield "vertical tab after the token", line(at, lambda l: l.replace(b":::MLLOG ", b":::MLLOG \x0b"))
    yield "lower-case token", line(at, lambda l: l.replace(b":::MLLOG ", b":::mllog "))
    yield "bare token", line(at, lambda l: b":::MLLOG ")
    yield "bare token with blanks", line(at, lambda l: b"x :::MLLOG    ")
    for name, tail in {"blanks": b" \t ", "NEL and no-break space": b"\x85\xa0", "separators": b"\x1c\x1d\x1e\x1f",
                       "form feed": b"\x0c\x0b", "text": b" done", "brace": b"}", "comma": b",", "NUL": b"\0",
                       "UTF-8 no-break space": b"\xc2\xa0", "comment": b" // x"}.items():
        yield f"{name} after the object", line(at, lambda l, tail=tail: l + tail)
    for name, head in {"latin-1": b"caf\xe9 ", "UTF-8": "caf\u00e9 \u6f22 ".encode(), "NUL": b"\0\0",
                       "escape": b"\x1b[31m",
                       "BOM": b"\xef\xbb\xbf", "16 kB": b"x" * 16384}.items():
        yield f"{name} before the token", line(at, lambda l, head=head: head + l)
    yield "BOM after the token", line(at, lambda l: l.replace(b":::MLLOG ", b":::MLLOG \xef\xbb\xbf"))
    platform = first(base, "submission_platform")
    for name, raw in {"latin-1": b"Universit\xe9", "UTF-8": "Universit\u00e9".encode(), "broken UTF-8": b"\xc3(",
                      "C1 controls": b"\x80\x85\xa0", "NUL": b"a\0b", "tab": b"a\tb", "delete": b"a\x7fb",
                      "escaped quote": b'a\\"NaN', "bad escape": b"\\x41", "NaN as text": b"NaN",
                      "surrogates": b"\\ud83d\\ude00",
                      "escaped NUL": b"\\u0000", "carriage return": b"a\rb", "slash": b"\\/"}.items():
        yield f"platform {name}", line(platform, lambda l, raw=raw: l.replace(b"TEST_scripted", raw))
    value = b'"value": 8192'
    for name, raw in {"NaN": b"NaN", "Infinity": b"Infinity", "-Infinity": b"-Infinity", "-NaN": b"-NaN", "nan": b"nan",
                      "8192e0": b"8192e0", "8192.": b"8192.", "+8192": b"+8192", "08192": b"08192", "0x2000": b"0x2000",
                      "8192.0": b"8192.0", "-0": b"-0", "single quotes": b"'8192'", "nothing": b"", "True": b"True",
                      "1E4": b"1E4", "20 digits": b"81920000000000000000", "NaN in a list": b"[1, NaN, -Infinity]",
                      "NaN as a name": b"{NaN: 1}", "deep": b"[" * 50 + b"]" * 50}.items():
        yield f"sequence length {name}", line(at, lambda l, raw=raw: l.replace(value, b'"value": ' + raw))
    yield "value given twice, last right", line(at, lambda l: l.replace(value, b'"value": 4096, "value": 8192'))
    yield "value given twice, last wrong", line(at, lambda l: l.replace(value, b'"value": 8192, "value": 4096'))
    yield "unknown field", line(at, lambda l: l.replace(value, value + b', "rank": 3'))
    for field in ("namespace", "time_ms", "event_type", "key", "value", "metadata"):
        yield f"no {field}", log_of(with_field(base, "max_sequence_length", field, ABSENT))
        yield f"{field} null", log_of(with_field(base, "max_sequence_length", field, None))
        yield f"{field} 5", log_of(with_field(base, "max_sequence_length", field, 5))
        yield f"{field} list", log_of(with_field(base, "max_sequence_length", field, []))
    for name, raw in {"list": b"[1]", "text": b'"x"', "number": b"5", "null": b"null", "empty": b"{}"}.items():
        yield f"record is {name}", line(at, lambda l, raw=raw: b":::MLLOG " + raw)
    for cut in (1, 30, 120):
        yield f"last record short by {cut}", good[:-cut]
        yield f"a record in the middle short by {cut}", line(at, lambda l, cut=cut: l[:-cut])
    yield "broken record of an unknown key", line(first(base, "tracked_stats"), lambda l: l[:-5])
    yield "empty file", b""
    yield "text without records", b"hello\nworld\n"
    yield "only a broken record", b":::MLLOG {\n"
    yield "only newlines", b"\n\n\n"


def mixed(base, count, seed):
    """Several random changes at once; the seed makes them the same every time."""
    rng = random.Random(seed)
    keys = list(dict.fromkeys(r["key"] for r in base))
    for number in range(count):
        records = copy.deepcopy(base)
        for _ in range(rng.randint(2, 5)):
            key = rng.choice(keys)
            places = [i for i, r in enumerate(records) if r["key"] == key]
            if not places:
                continue
            at = rng.choice(places)
            change = rng.randrange(6)
            if change == 0:
                records = without(records, key)
            elif change == 1:
                records.insert(rng.randrange(len(records) + 1), copy.deepcopy(records[at]))
            elif change == 2:
                records.insert(rng.randrange(len(records)), records.pop(at))
            elif change == 3:
                records[at]["value"] = rng.choice([None, True, 0, 1, -1, 16, 0.5, 8192, "closed", "adamw", "", [1]])
            elif change == 4:
                records[at]["metadata"] = rng.choice([{}, {"samples_count": 1}, {"epoch_num": 1}, {"status": 1}, None])
            else:
                records[at]["time_ms"] += rng.choice([-10 ** 7, -1, 1, 10 ** 6, 10 ** 7])
        yield f"mixed {number}", records


def all_cases(path):
    full = read_records(path)
    # Three evaluations and one record of statistics say as much as the whole run, in less time.
    starts = [i for i, r in enumerate(full) if r["key"] == "block_start"]
    short = full[:starts[1]] + full[starts[-2]:]
    stats = first(short, "tracked_stats")
    base = [r for i, r in enumerate(short) if r["key"] != "tracked_stats" or i == stats]
    cases = list(texts(base))
    for family in (per_key(base), orders(base), blocks(base), times(base), values(base), mixed(base, 200, 20260729)):
        cases += [(name, log_of(records)) for name, records in family]
    return base, cases
