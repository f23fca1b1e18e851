# Does `timetrial check` judge as MLPerf's own compliance checker does? Thousands of bent logs through both.
# SPDX-License-Identifier: Apache-2.0
"""agree.py --python PYTHON --writer WRITE_SCRIPTED_LOG --full-writer WRITE_FULL_LOG --checker CHECK_PROGRAM
agree.py --python PYTHON --checker CHECK_PROGRAM --small LOG

The first form writes the scripted full-size log and the log that a full-size closed run of each workload would write,
which both checkers must pass, and compares outcome (pass, fail, or dying of an exception), failing keys and warned keys
on their mutations, and on bent logs of every benchmark, division and ruleset. The second runs both on the log of a
small run: the official checker must fail exactly the keys that the log declares as scaled. PYTHON, or else the
environment variable TIMETRIAL_MLPERF_PYTHON, names a Python that has the package mlperf-logging; without one the exit
code is 77, skipped, or 1 when TIMETRIAL_REQUIRE_MLPERF=1. CHECK_PROGRAM is timetrial or check_logs.
"""
import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile

RULESET = "6.0.0"
WORKLOADS = ("gpt_oss_20b", "llama31_405b", "deepseekv3_671b")
PER_LOG = 25  # drawn cases about single keys, of each benchmark's log
AT_ONCE = 500  # logs on one command line of ours
ALIASES = {"target": "eval_accuracy", "batch": "global_batch_size"}


class Official:
    """The official checker, in this process: one start instead of hundreds."""

    def __init__(self):
        import logging
        from mlperf_logging.compliance_checker import mlp_compliance
        logging.disable(logging.CRITICAL)
        self.module = mlp_compliance
        parsed, load = {}, mlp_compliance.yaml.load

        def load_once(file, Loader):  # pylint: disable=invalid-name
            if file.name not in parsed:
                parsed[file.name] = load(file, Loader=Loader)
            return parsed[file.name]

        mlp_compliance.yaml.load = load_once

    def judge(self, path, ruleset=RULESET):
        """("pass" | "fail" | "dies", failing keys, warned keys)"""
        self.module.enqueued_configs.clear()
        checker = self.module.make_checker("training", ruleset, False, False)
        try:
            passed = checker.check_file(path, f"training_{ruleset}/common.yaml")
        except Exception as error:  # whatever it dies of, a user sees no verdict
            return "dies", {type(error).__name__}, set()
        keys = set(checker.overwritable) | {self.key_of(m) for m in checker.not_overwritable}
        return "pass" if passed else "fail", keys, set(checker.warnings)

    @staticmethod
    def key_of(message):
        """Messages without a key, named as ours are."""
        found = re.match(r"Failed checks for (\w+) ", message)
        if found:
            return found.group(1)
        if message.startswith("Required AT_LEAST_ONE occurrence of "):
            return " or ".join(sorted(re.findall(r"'(\w+)'", message)))
        if message in ("Log lines had parsing errors.", "No log lines detected"):
            return "log"
        return message


def ours(checker, paths, ruleset=RULESET):
    result = subprocess.run([checker, "check", "--ruleset", ruleset, "--json", *paths], capture_output=True, text=True)
    if result.returncode not in (0, 1, 2) or not result.stdout:
        sys.exit(f"{checker} broke: exit code {result.returncode}\n{result.stderr}")
    verdicts = {}
    for report in json.loads(result.stdout)["logs"]:
        keys = {f["key"] for f in report.get("errors", [])}
        verdicts[report["log"]] = (report, keys, {f["key"] for f in report.get("warnings", [])})
    return verdicts


def difference(theirs, report, keys, warned):
    """Nothing when the two agree."""
    verdict, their_keys, their_warned = theirs
    if report["verdict"] == "unusable":
        return None if verdict == "fail" else f"they {verdict}, we cannot use it: {report['sentence']}"
    if report["official"]["outcome"] != verdict:
        return f"they {verdict} ({', '.join(their_keys)}), we say they {report['official']}"
    if verdict == "dies":
        return f"they die ({', '.join(their_keys)}), we pass" if report["passed"] else None
    if report["passed"] != (verdict == "pass"):
        return f"they {verdict} {sorted(their_keys)}, we {report['verdict']} {sorted(keys)}"
    if keys != their_keys:
        return f"failing keys: they {sorted(their_keys)}, we {sorted(keys)}"
    if warned != their_warned:
        return f"warned keys: they {sorted(their_warned)}, we {sorted(warned)}"
    return None


def check_scripted(arguments, official, folder):
    log = os.path.join(folder, "scripted.txt")
    subprocess.run([arguments.writer, log], check=True)
    command = [sys.executable, "-m", "mlperf_logging.compliance_checker", "--usage", "training", "--ruleset", RULESET,
               "--log_output", os.path.join(folder, "compliance.txt"), log]
    result = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    failures = []
    if result.returncode != 0 or "SUCCESS" not in result.stderr + result.stdout:
        failures.append(f"scripted log: the official checker does not print SUCCESS:\n{result.stdout}{result.stderr}")
    if official.judge(log)[0] != "pass":
        failures.append("scripted log: the official checker in this process does not pass it")
    report, keys, _ = ours(arguments.checker, [log])[log]
    if report["verdict"] != "pass":
        failures.append(f"scripted log: we say {report['sentence']}")
    if report["remarks"]:
        failures.append(f"scripted log: remarks {report['remarks']}")
    return log, failures


# What the rules leave to a full run, in the division it claims.
OPEN = ["submission.division=open", "train.weight_decay=0.2", "train.beta_2=0.99", "train.clip_norm=2",
        "evaluation.every_samples=36864", "model.layers=8", "train.learning_rate=2e-4"]
FREEDOM = {
    "gpt_oss_20b": [["form=reference", "train.end_learning_rate=4e-5", "train.learning_rate=8e-4"],
                    ["form=submitted", "train.end_learning_rate=4e-5", "train.gradient_storage=bf16"],
                    [*OPEN, "form=published", "train.max_steps=50000", "evaluation.samples=512", "data.checkpoint=weights"]],
    "llama31_405b": [["train.max_steps=700", "train.global_batch=2304", "train.gradient_storage=bf16"],
                     ["model.vocabulary_multiple=256", "train.warmup_form=from_zero", "train.moment_storage=bf16"],
                     [*OPEN, "form=published", "train.max_steps=700", "train.decay_steps=600", "data.checkpoint="]],
    "deepseekv3_671b": [["train.max_steps=100", "train.end_learning_rate=5e-6", "train.global_batch=16384"],
                        [*OPEN, "train.global_batch=16000", "model.router.aux_loss=0.0001", "train.warmup_steps=9"]],
}


def check_freedom(arguments, official, folder):
    """Logs of full-size runs that use what the rules leave to them: both pass these too, with nothing scaled."""
    failures = []
    for workload, runs in FREEDOM.items():
        for number, settings in enumerate(runs):
            own = os.path.join(folder, f"{workload}_{number}")
            os.mkdir(own)
            subprocess.run([arguments.full_writer, workload, own, *settings], check=True)
            log = os.path.join(own, "result_0.txt")
            theirs = official.judge(log)
            report, _, _ = ours(arguments.checker, [log])[log]
            if theirs[0] != "pass" or report["verdict"] != "pass":
                failures.append(f"{workload} {settings}: the official checker says {theirs}, we {report['sentence']}")
    return failures


def check_full(arguments, official, folder):
    """The logs that full-size closed runs of the workloads would write: both pass them, and agree on them bent."""
    import benchmark_cases
    import cases
    failures, bent = [], []
    for workload in WORKLOADS:
        own = os.path.join(folder, workload)
        os.mkdir(own)
        subprocess.run([arguments.full_writer, workload, own], check=True)
        log = os.path.join(own, "result_0.txt")
        theirs = official.judge(log)
        if theirs[0] != "pass":
            failures.append(f"full log of {workload}: the official checker does not pass it: {theirs}")
        report, _, _ = ours(arguments.checker, [log])[log]
        if report["verdict"] != "pass" or report["remarks"]:
            failures.append(f"full log of {workload}: we say {report['sentence']}, remarks {report['remarks']}")
        base = cases.read_records(log)
        of_rules = cases.without(base, *{r["key"] for r in base if r["key"].startswith("timetrial_")})
        name = f"full log of {workload}"
        drawn = benchmark_cases.drawn(benchmark_cases.per_key(of_rules), None if arguments.every else PER_LOG, name)
        for what, records in [*drawn, *benchmark_cases.targets(of_rules, workload)]:
            bent.append((RULESET, f"{name}, {what}", cases.log_of(records)))
    return failures + compare(arguments, official, folder, bent)


def compare(arguments, official, folder, all_cases):
    """Differences on (ruleset, name, content) cases, and how many of each outcome there were."""
    failures, tally = [], {"pass": 0, "fail": 0, "dies": 0}
    for ruleset in sorted({case[0] for case in all_cases}):
        of_ruleset = [case for case in all_cases if case[0] == ruleset]
        for start in range(0, len(of_ruleset), AT_ONCE):
            paths = {}
            for number, (_, name, content) in enumerate(of_ruleset[start:start + AT_ONCE]):
                path = os.path.join(folder, f"case_{number:04d}.txt")
                with open(path, "wb") as file:
                    file.write(content)
                paths[path] = name
            verdicts = ours(arguments.checker, list(paths), ruleset)
            for path, name in paths.items():
                theirs = official.judge(path, ruleset)
                tally[theirs[0]] += 1
                told = difference(theirs, *verdicts[path])
                if told:
                    failures.append(f"{name}: {told}")
    print(f"{len(all_cases)} logs: the official checker passes {tally['pass']}, fails {tally['fail']}, dies of "
          f"{tally['dies']}; {len(failures)} judged differently here", flush=True)
    return failures


def check_cases(arguments, official, folder, scripted):
    import benchmark_cases
    import cases
    import sound_logs
    base, bent = cases.all_cases(scripted)
    failures = compare(arguments, official, folder, [(RULESET, name, content) for name, content in bent])
    # What the bent logs were before: the official checker must pass them, or the comparison says little.
    sound = [(ruleset, f"{ruleset} {division} {benchmark}, sound",
              cases.log_of(sound_logs.sound_log(ruleset, division, benchmark)))
             for ruleset, division, benchmark in sound_logs.all_sound()
             if benchmark in sound_logs.RULESETS[ruleset]]
    for ruleset, name, content in sound:
        path = os.path.join(folder, "sound.txt")
        with open(path, "wb") as file:
            file.write(content)
        theirs = official.judge(path, ruleset)
        if theirs[0] != "pass":
            failures.append(f"{name}: the official checker does not pass it: {theirs}")
    failures += compare(arguments, official, folder, sound + list(benchmark_cases.all_cases(None if arguments.every else PER_LOG)))
    return failures + check_scaling(arguments, official, folder, base)


def declared_keys(path):
    keys = []
    with open(path, encoding="latin-1") as log:
        for line in log:
            record = json.loads(line.split(":::MLLOG ")[-1]) if ":::MLLOG " in line else {}
            if record.get("key") == "timetrial_scaled_rule":
                keys.append(ALIASES.get(record["value"]["key"], record["value"]["key"]))
    return keys


def judge_small(arguments, official, path):
    """What is wrong with a small run's log; nothing when only what it declares fails."""
    declared = declared_keys(path)
    if not declared:
        return "declares no scaled rule"
    verdict, keys, warned = official.judge(path)
    if verdict != "fail" or keys != set(declared) or len(declared) != len(set(declared)) or warned:
        return (f"official: {verdict}, failing {sorted(keys)}, warned {sorted(warned)}; "
                f"declared as scaled: {sorted(declared)}")
    report, our_keys, _ = ours(arguments.checker, [path])[path]
    if report["verdict"] != "pass_scaled" or {s["key"] for s in report["scaled"]} != set(declared):
        return f"here: {report['sentence']}, failing {sorted(our_keys)}"
    return None


def check_scaling(arguments, official, folder, base):
    """The small-run rule itself: it must accept an honest declaration and nothing else."""
    import cases

    def small(declared, values):
        records = base
        for key, value in values.items():
            records = cases.with_value(records, key, value)
        names = {v: k for k, v in ALIASES.items()}
        extra = [{"namespace": "", "time_ms": records[0]["time_ms"], "event_type": "POINT_IN_TIME",
                  "key": "timetrial_scaled_rule", "metadata": {},
                  "value": {"key": names.get(key, key), "description": "smaller", "expected": value}}
                 for key, value in declared.items()]
        at = cases.first(records, "init_stop")
        return cases.log_of(records[:at] + extra + records[at:])

    scaled = {"max_sequence_length": 256, "eval_samples": 32, "opt_learning_rate_decay_steps": 1872}
    with_target = {**scaled, "eval_accuracy": 4.5}
    logs = {
        "honest": (small(with_target, {**scaled, "eval_accuracy": 4.4}), True),
        "undeclared length": (small({**with_target, "opt_name": "sgd"}, {**with_target, "opt_name": "sgd",
                                                                       "opt_adamw_beta_1": 0.8}), False),
        "declared, but the full rule holds": (small({**with_target, "opt_adamw_beta_1": 0.9}, with_target), False),
        "another value than declared": (small({**with_target, "eval_samples": 64}, with_target), False),
        "declared target missed": (small(with_target, {**scaled, "eval_accuracy": 4.6}), False),
        "nothing declared": (small({}, with_target), False),
        "no target": (small(scaled, with_target), False),
    }
    failures = []
    for name, (content, good) in logs.items():
        path = os.path.join(folder, "small.txt")
        with open(path, "wb") as file:
            file.write(content)
        told = judge_small(arguments, official, path)
        if (told is None) != good:
            failures.append(f"scaled log, {name}: {told or 'accepted'}")
    print(f"{len(logs)} scaled logs: {len(failures)} judged wrongly")
    return failures


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="", help="Python with mlperf-logging; default TIMETRIAL_MLPERF_PYTHON")
    parser.add_argument("--writer", help="the program write_scripted_log")
    parser.add_argument("--full-writer", help="the program write_full_log")
    parser.add_argument("--checker", required=True, help="timetrial or check_logs")
    parser.add_argument("--small", metavar="LOG", help="judge a small run's log instead")
    parser.add_argument("--every", action="store_true", help="all cases instead of a draw: minutes instead of seconds")
    parser.add_argument("--show", type=int, default=30, help="differences to print")
    arguments = parser.parse_args()
    if not arguments.small and not (arguments.writer and arguments.full_writer):
        parser.error("--writer and --full-writer are needed without --small")
    return arguments


def skip(reason):
    if os.environ.get("TIMETRIAL_REQUIRE_MLPERF") == "1":
        sys.exit(f"TIMETRIAL_REQUIRE_MLPERF=1, but {reason}")
    print(f"skipped: {reason}")
    sys.exit(77)


def go_on_in(python):
    """Starts again under the Python that has mlperf-logging, unless this is it."""
    if not python:
        skip("no Python with mlperf-logging was given (--python or TIMETRIAL_MLPERF_PYTHON)")
    if os.path.abspath(python) != os.path.abspath(sys.executable):
        try:
            os.execv(python, [python, *sys.argv])
        except OSError as error:
            sys.exit(f"{python}: cannot be started ({error.strerror})")
    if importlib.util.find_spec("mlperf_logging") is None:
        skip(f"{python} has no package mlperf-logging")


def main():
    arguments = parse_arguments()
    go_on_in(arguments.python or os.environ.get("TIMETRIAL_MLPERF_PYTHON", ""))
    sys.dont_write_bytecode = True  # leave the source folder as it is
    official = Official()
    if arguments.small:
        told = judge_small(arguments, official, arguments.small)
        print(f"{arguments.small}: " + (told or f"official checker fails exactly the declared rules: "
                                                f"{', '.join(sorted(declared_keys(arguments.small)))}"))
        return 1 if told else 0
    with tempfile.TemporaryDirectory() as folder:
        scripted, failures = check_scripted(arguments, official, folder)
        failures += check_full(arguments, official, folder)
        failures += check_freedom(arguments, official, folder)
        failures += check_cases(arguments, official, folder, scripted)
    for failure in failures[:arguments.show]:
        print(f"DIFFERENT {failure}")
    if len(failures) > arguments.show:
        print(f"... and {len(failures) - arguments.show} more")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
