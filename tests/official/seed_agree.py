# Does `timetrial score` judge the seeds of a result as MLPerf's own package checker does?
# SPDX-License-Identifier: Apache-2.0
"""seed_agree.py --python PYTHON --program TIMETRIAL

Folders of logs whose seeds are missing, repeated, of every JSON type, or logged from odd places go through both programs: the
verdict must be the same, and where the official one dies ours must fail. PYTHON and skipping as in agree.py.
"""
import argparse
import itertools
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True  # leave the source folder as it is
from agree import go_on_in  # noqa: E402
from rcp_agree import RULESETS, TOKEN, log, record, text  # noqa: E402

PLACE = {"file": "train.py", "lineno": 7}
VALUES = [0, 5, -5, 2**31, 2**62, 5.0, 5.9, -0.5, 1e22, 1e300, math.nan, math.inf, True, False, None, "5", " 5 ", "+5", "-5", "05",
          "5_0", "5__0", "_5", "5_", "", " ", "-", "+-5", "5.0", "0x5", "5e3", "five", "\t5\n", "\x1f5", "1" * 4300, "1" * 4301, [], [5], {},
          {"seed": 5}]
PLACES = [None, 0, 1, True, 1.0, 7, 7.0, 7.5, "7", "train.py", "", "a\nb", math.nan, math.inf, -0.0, [], [1], {}]


def seed(value, place=None):
    return record("seed", value, PLACE if place is None else place)


def cases():
    """(name, [lines of each log])"""
    yield "one each", [[seed(1)], [seed(2)], [seed(3)]]
    yield "one missing", [[seed(1)], [], [seed(3)]]
    yield "all missing", [[], [], []]
    yield "first and last the same", [[seed(1)], [seed(2)], [seed(1)]]
    yield "two in one log", [[seed(1), seed(4)], [seed(2)], [seed(3)]]
    yield "twice in one log", [[seed(1), seed(1)], [seed(2)], [seed(3)]]
    yield "second of one is first of another", [[seed(1), seed(2)], [seed(2)], [seed(3)]]
    yield "a good one and a bad one", [[seed(1), seed("x")], [seed(2)], [seed(3)]]
    yield "the good one of a bad log is another's", [[seed(1), seed("x")], [seed(1)], [seed(3)]]
    for name, place in (("no metadata", {}), ("no file", {"lineno": 7}), ("no lineno", {"file": "train.py"})):
        yield name, [[TOKEN + json.dumps({"time_ms": 1, "key": "seed", "value": 1, "metadata": place})], [seed(2)], [seed(3)]]
    for metadata in (None, [], "file lineno", ["file", "lineno"], 7):
        yield f"metadata {metadata!r}", [[TOKEN + json.dumps({"time_ms": 1, "key": "seed", "value": 1, "metadata": metadata})], [seed(2)], [seed(3)]]
    broken = {"half a record": TOKEN + '{"key": "note", "val', "no key": TOKEN + '{"time_ms": 1, "value": 1, "metadata": {}}',
              "no value": TOKEN + '{"time_ms": 1, "key": "seed", "metadata": {}}', "null": TOKEN + "null", "bad time": record("note", 1).replace(
                  "1700000000000", '"x"'), "null time": record("note", 1).replace("1700000000000", "null"), "nothing": TOKEN.strip(),
              "no blank": record("note", 1).replace(TOKEN, ":::MLLOG"), "plain text": "seed 5"}
    for name, line in broken.items():
        yield f"beside {name}", [[seed(1), line], [seed(2)], [seed(3)]]
    yield "seed behind another record", [[record("note", 1) + " " + seed(1)], [seed(2)], [seed(3)]]
    yield "a seed hidden by another record", [[seed(1) + " " + record("note", 1)], [seed(2)], [seed(3)]]
    yield "key in capitals", [[seed(1).replace('"seed"', '"SEED"')], [seed(2)], [seed(3)]]
    for value in VALUES:
        yield f"value {value!r:.40}", [[seed(value)], [seed(2)], [seed(3)]]
    for one, other in itertools.combinations_with_replacement(VALUES, 2):
        yield f"values {one!r:.40} and {other!r:.40}", [[seed(one)], [seed(other)], [seed(3.5, {"file": "elsewhere", "lineno": 1})]]
    for one, other in itertools.combinations_with_replacement(PLACES, 2):
        yield f"lines {one!r} and {other!r}", [[seed(1, {"file": "train.py", "lineno": one})], [seed(1, {"file": "train.py", "lineno": other})]]
        yield f"files {one!r} and {other!r}", [[seed(1, {"file": one, "lineno": 7})], [seed(1, {"file": other, "lineno": 7})]]


def write(folder):
    """Paths of the cases' folders by name; each log is one of a run beside its seeds."""
    paths = {}
    for number, (name, logs) in enumerate(cases()):
        path = os.path.join(folder, f"case_{number:05d}")
        os.mkdir(path)
        paths[path] = name
        for i, lines in enumerate(logs):
            with open(os.path.join(path, f"result_{i}.txt"), "w", encoding="utf-8", newline="") as out:
                out.write(text(lines + log("gpt_oss_20b", 16, 200000)))
    return paths


def official(checker_class, path, ruleset):
    """True, False, or None where it dies."""
    files = sorted(os.path.join(path, name) for name in os.listdir(path))
    try:
        return checker_class(ruleset).check_seeds(files)
    except Exception:  # whatever it dies of, a user sees no verdict
        return None


def ours(program, paths, ruleset):
    verdicts = {}
    for begin in range(0, len(paths), 200):
        result = subprocess.run([program, "score", "--ruleset", ruleset, "--json", *paths[begin:begin + 200]], capture_output=True, text=True)
        if result.returncode not in (0, 1, 2) or not result.stdout:
            sys.exit(f"{program} broke: exit code {result.returncode}\n{result.stderr}")
        for score in json.loads(result.stdout)["folders"]:
            verdicts[score["folder"]] = (score["seeds"]["passed"], score["seeds"]["problems"])
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="", help="Python with mlperf-logging; default TIMETRIAL_MLPERF_PYTHON")
    parser.add_argument("--program", required=True, help="timetrial")
    arguments = parser.parse_args()
    go_on_in(arguments.python or os.environ.get("TIMETRIAL_MLPERF_PYTHON", ""))
    warnings.simplefilter("ignore")  # the official one warns of several seeds in a log
    logging.disable(logging.CRITICAL)
    from mlperf_logging.package_checker.seed_checker import SeedChecker
    failures, tally = [], {True: 0, False: 0, None: 0}
    with tempfile.TemporaryDirectory() as folder:
        paths = write(folder)
        for ruleset in RULESETS:
            own = ours(arguments.program, list(paths), ruleset)
            for path, name in paths.items():
                theirs = official(SeedChecker, path, ruleset)
                tally[theirs] += 1
                if bool(theirs) != own[path][0]:
                    failures.append(f"{ruleset} {name}: they {theirs}, we {own[path]}")
    print(f"{sum(tally.values())} folders: official verdicts on seeds {tally[True]} pass, {tally[False]} fail, {tally[None]} die; "
          f"{len(failures)} judged differently here")
    for failure in failures[:30]:
        print(f"DIFFERENT {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
