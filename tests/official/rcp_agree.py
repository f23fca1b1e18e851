# Does `timetrial score` judge convergence as MLPerf's own rcp_checker does, and time runs as its result_summarizer does?
# SPDX-License-Identifier: Apache-2.0
"""rcp_agree.py --python PYTHON --program TIMETRIAL [--writer WRITE_SCRIPTED_LOG] [--reference FOLDER]

Generates folders of logs for every benchmark with reference points, in both rulesets: batch sizes below, at, between and
above the points, runs around the border of the test, unconverged runs, mixed batch sizes, missing keys, broken records. Each
goes through both programs; outcome, message and normalisation factor must be the same, and where the official program dies
ours must fail. Then whole organisation folders go through the official summariser, and the scores must be the same. With
--reference the shipped reference points are compared with the package's own. PYTHON and skipping as in agree.py.
"""
import argparse
import contextlib
import io
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import warnings

sys.dont_write_bytecode = True  # leave the source folder as it is
from agree import go_on_in  # noqa: E402

RULESETS = ("5.1.0", "6.0.0")
TOKEN = ":::MLLOG "
SAMPLES = {"llama2_70b_lora", "flux1", "llama31_405b", "llama31_8b", "gpt_oss_20b", "deepseekv3_671b"}


def record(key, value, metadata=None, **more):
    return TOKEN + json.dumps({"namespace": "", "time_ms": 1700000000000, "event_type": "POINT_IN_TIME", "key": key,
                               "value": value, "metadata": metadata or {}, **more})


def at(benchmark, reached):
    return {"samples_count" if benchmark in SAMPLES else "epoch_num": reached}


def log(benchmark, batch, reached, status="success"):
    return [record("submission_benchmark", benchmark), record("global_batch_size", batch), record("run_start", None),
            record("eval_accuracy", 9.0, at(benchmark, 0)), record("eval_accuracy", 0.5, at(benchmark, reached)),
            record("run_stop", None, {"status": status})]


def text(lines):
    return "\n".join(lines) + "\n"


class Cases:
    """Folders to judge: name -> {file name: content}, with the bypass or without."""

    def __init__(self, checker_class, seed):
        self.random = random.Random(seed)
        self.checker_class = checker_class
        self.folders = []

    def add(self, name, ruleset, files, bypass=False):
        self.folders.append((name, ruleset, {f"result_{i}.txt": c for i, c in enumerate(files)}, bypass))

    def batches(self, points):
        sizes = sorted(point["BS"] for point in points)
        between = [(low + high) // 2 for low, high in zip(sizes, sizes[1:])]
        return [max(1, sizes[0] // 2), sizes[0] - 1, *sizes, *between, sizes[-1] + 1, 2 * sizes[-1]]

    def borders(self, checker, batch):
        """Means around which a verdict or a factor turns."""
        point = checker._find_rcp(batch, "pruned_rcps")
        low, high = checker._find_top_min_rcp(batch, "pruned_rcps"), checker._find_bottom_max_rcp(batch, "pruned_rcps")
        if point is None and low is not None and high is not None:
            point = checker._create_interp_rcp(batch, low, high)[1]
        if point is None:
            point = checker._find_min_rcp("pruned_rcps")
        least = point["Min Epochs"] - (46080 if checker.benchmark == "llama31_405b" else 0)
        return float(point["RCP Mean"]), float(least)

    def around(self, benchmark, mean, least):
        step = 1 if benchmark in SAMPLES else 0.001
        places = [mean, least, (mean + least) / 2]
        for place in places:
            for off in (-1, 0, 1):
                value = math.floor(place / step) * step + off * step
                yield round(value) if benchmark in SAMPLES else round(value, 3)

    def spread(self, value, runs, benchmark):
        """Runs with about this mean, the dropped two far away."""
        reached = [value] * runs
        for i in range(1, runs - 1, 2):
            if i + 1 < runs - 1:
                wobble = self.random.randint(0, max(1, int(value * 1e-3))) if benchmark in SAMPLES else 0.01
                reached[i] += wobble
                reached[i + 1] -= wobble
        reached[0], reached[-1] = value * 0.5, value * 3
        self.random.shuffle(reached)
        return [round(r) if benchmark in SAMPLES else round(r, 6) for r in reached]

    def benchmark(self, ruleset, benchmark):
        checker = self.checker_class("training", ruleset, benchmark, False)
        runs = checker.submission_runs
        points = list(checker.rcp_data.values())
        for batch in self.batches(points):
            mean, least = self.borders(checker, batch)
            for value in sorted(set(self.around(benchmark, mean, least))):
                name = f"{ruleset} {benchmark} batch {batch} mean {value}"
                files = [text(log(benchmark, batch, r)) for r in self.spread(value, runs, benchmark)]
                self.add(name, ruleset, files)
        self.odd(ruleset, benchmark, points[0]["BS"], float(points[0]["RCP Mean"]), runs)

    def odd(self, ruleset, benchmark, batch, mean, runs):
        value = round(mean) if benchmark in SAMPLES else round(mean, 2)
        step = max(1, value // 1000) if benchmark in SAMPLES else 0.01  # all different, so that it matters which is dropped
        sound = [log(benchmark, batch, round(value + (i - runs // 2) * step, 6)) for i in range(runs)]

        def bent(name, change, which=(0,), bypass=False):
            files = [list(lines) for lines in sound]
            for i in which:
                files[i] = change(files[i])
            self.add(f"{ruleset} {benchmark} {name}", ruleset, [f if isinstance(f, str) else text(f) for f in files], bypass)

        everywhere, last, middle = tuple(range(runs)), (runs - 1,), (1,)
        for count in (0, 1, 2, 3):
            bent(f"{count} aborted", lambda lines: lines[:-1] + [record("run_stop", None, {"status": "aborted"})], range(count))
            bent(f"{count} without run_stop", lambda lines: lines[:-1], range(count))
        bent("success, then aborted", lambda lines: lines + [record("run_stop", None, {"status": "aborted"})], middle)
        bent("aborted, then success", lambda l: l[:-1] + [record("run_stop", None, {"status": "aborted"}), l[-1]], middle)
        bent("evaluation after run_stop", lambda lines: lines + [record("eval_accuracy", 1, at(benchmark, 1))], everywhere)
        for name, which in (("first", (0,)), ("middle", middle), ("last", last), ("everywhere", everywhere)):
            bent(f"other batch {name}", lambda l: [l[0], record("global_batch_size", batch * 2), *l[2:]], which)
            bent(f"batch missing {name}", lambda l: [l[0], *l[2:]], which)
            bent(f"benchmark missing {name}", lambda l: l[1:], which)
            bent(f"benchmark null {name}", lambda l: [record("submission_benchmark", None), *l[1:]], which)
            bent(f"other benchmark {name}", lambda l: [record("submission_benchmark", "resnet"), *l[1:]], which)
            bent(f"no status {name}", lambda l: l[:-1] + [record("run_stop", None)], which)
            bent(f"no evaluation {name}", lambda l: l[:3] + l[5:], which)
            bent(f"evaluation without count {name}", lambda l: l[:4] + [record("eval_accuracy", 0.5), l[5]], which)
            bent(f"both counts {name}", lambda l: l[:4] + [record("eval_accuracy", 1, {"samples_count": value, "epoch_num": value}),
                                                            l[5]], which)
            bent(f"count as text {name}", lambda l: l[:4] + [record("eval_accuracy", 1, at(benchmark, str(value))), l[5]], which)
            bent(f"count null {name}", lambda l: l[:4] + [record("eval_accuracy", 1, at(benchmark, None)), l[5]], which)
            bent(f"loss NaN {name}", lambda l: l[:4] + [record("eval_accuracy", math.nan, at(benchmark, value)), l[5]], which)
            bent(f"loss infinite {name}", lambda l: l[:4] + [record("eval_accuracy", -math.inf, at(benchmark, value)), l[5]], which)
            bent(f"half a record {name}", lambda l: text(l) + TOKEN + '{"key": "eval_accuracy", "val', which)
            bent(f"half a record of no matter {name}", lambda l: text(l) + TOKEN + '{"key": "loss", "val', which)
            bent(f"records without time {name}", lambda l: [line.replace('"time_ms": 1700000000000, ', "") for line in l], which)
        for kind, other in (("float", float(batch)), ("text", str(batch)), ("null", None), ("truth", True), ("list", [batch])):
            bent(f"batch as {kind}", lambda l: [l[0], record("global_batch_size", other), *l[2:]], everywhere)
        bent("batch as float in one", lambda l: [l[0], record("global_batch_size", float(batch)), *l[2:]], middle)
        bent("word in another record", lambda l: l + [record("note", batch * 2, {"text": "global_batch_size"})], everywhere)
        bent("word in the namespace", lambda l: l + [record("note", batch * 2, namespace="global_batch_size")], everywhere)
        bent("eval_error", lambda l: l[:5] + [record("x", 1, at(benchmark, value), namespace="eval_error"), l[5]], everywhere)
        bent("windows line ends", lambda l: "\r\n".join(l) + "\r\n", everywhere)
        bent("old line ends", lambda l: "\r".join(l) + "\r", everywhere)
        bent("prefix", lambda l: ["  3: " + line for line in l], everywhere)
        bent("two records on a line", lambda l: [l[0], record("global_batch_size", batch * 2) + " " + l[1], *l[2:]], middle)
        bent("no blank behind the token", lambda l: [l[0], l[1].replace(TOKEN, ":::MLLOG"), *l[2:]], everywhere)
        bent("letters of no alphabet", lambda l: l + [record("note", "\u00e9\u4e2d", {"eval": "x"})], middle)
        bent("empty file", lambda l: "", (0,))
        bent("all empty", lambda l: "", everywhere)
        bent("a run less", lambda l: l, ())
        self.folders[-1][2].popitem()
        bent("two runs", lambda l: l, ())
        for i in range(2, runs):
            self.folders[-1][2].pop(f"result_{i}.txt")
        bent("no runs", lambda l: l, ())
        self.folders[-1][2].clear()
        fast = [text(log(benchmark, batch, value / 4 if benchmark not in SAMPLES else value // 4)) for _ in range(runs)]
        self.add(f"{ruleset} {benchmark} bypass too fast", ruleset, fast, True)
        self.add(f"{ruleset} {benchmark} bypass above", ruleset, [text(log(benchmark, batch * 4096, value))] * runs, True)
        bent("bypass, two aborted", lambda l: l[:-1], (0, 1), True)
        bent("bypass, sound", lambda l: l, (), True)


class Official:
    def __init__(self, rcp_checker):
        import logging
        logging.disable(logging.CRITICAL)
        self.module = rcp_checker
        # The official reader takes files as the folder lists them; ours by name.
        listed = rcp_checker.glob.glob
        rcp_checker.glob.glob = lambda *a, **k: sorted(listed(*a, **k))
        made, maker = {}, rcp_checker.RCP_Checker
        self.checker_class = maker

        def once(usage, ruleset, benchmark, verbose, rcp_file=None):
            key = (ruleset, benchmark)
            if key not in made:
                made[key] = maker(usage, ruleset, benchmark, verbose, rcp_file)
            return made[key]

        rcp_checker.RCP_Checker = once

    def judge(self, folder, ruleset, bypass):
        """(passed, message, factor, scaling.json or None), or None where it dies"""
        try:
            passed, message, factor = self.module.check_directory(folder, "training", ruleset, False, False,
                                                                  rcp_pass="pruned_rcps", rcp_bypass=bypass, set_scaling=True)
        except Exception:  # whatever it dies of, a user sees no verdict
            return None
        path = os.path.join(folder, "scaling.json")
        scaling = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                scaling = file.read()
            os.remove(path)
        return bool(passed), message, float(factor), scaling


def ours(program, folders, ruleset, bypass):
    verdicts = {}
    for begin in range(0, len(folders), 200):
        part = folders[begin:begin + 200]
        command = [program, "score", "--ruleset", ruleset, "--json", *(["--rcp-bypass"] if bypass else []), *part]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode not in (0, 1, 2) or not result.stdout:
            sys.exit(f"{program} broke: exit code {result.returncode}\n{result.stderr}")
        for score in json.loads(result.stdout)["folders"]:
            verdicts[score["folder"]] = score.get("convergence")
    return verdicts


def difference(theirs, own):
    if theirs is None:
        return None if own is None or (not own["passed"] and own["case"] == "unusable") else f"they die, we say {own['case']}"
    if own is None:
        return f"they say {theirs[1]!r}, we cannot use the folder"
    passed, message, factor, scaling = theirs
    if (own["passed"], own["official_message"]) != (passed, message):
        return f"they {passed} {message!r}, we {own['passed']} {own['official_message']!r} ({own['explanation']})"
    own_factor = math.nan if own["factor"] is None else own["factor"]
    if not (own_factor == factor or (math.isnan(own_factor) and math.isnan(factor))):
        return f"factor: they {factor!r}, we {own_factor!r}"
    if scaling != own["scaling_file"]:
        return f"scaling.json: they {scaling!r}, we {own['scaling_file']!r}"
    return None


def compare_cases(program, official, folder, only):
    cases = Cases(official.checker_class, 7)
    for ruleset in RULESETS:
        for benchmark in benchmarks_of(official.module, ruleset):
            if only in ("", benchmark):
                cases.benchmark(ruleset, benchmark)
    groups, theirs, names = {}, {}, {}
    tally = {"pass": 0, "fail": 0, "die": 0}
    for number, (name, ruleset, files, bypass) in enumerate(cases.folders):
        path = os.path.join(folder, f"case_{number:05d}")
        os.mkdir(path)
        for file, content in files.items():
            with open(os.path.join(path, file), "w", encoding="utf-8", newline="") as out:
                out.write(content)
        groups.setdefault((ruleset, bypass), []).append(path)
        names[path] = name
    for (ruleset, bypass), paths in groups.items():
        for path in paths:
            theirs[path] = official.judge(path, ruleset, bypass)
            tally["die" if theirs[path] is None else "pass" if theirs[path][0] else "fail"] += 1
    failures = []
    for (ruleset, bypass), paths in groups.items():
        own = ours(program, paths, ruleset, bypass)
        for path in paths:
            told = difference(theirs[path], own[path])
            if told:
                failures.append(f"{names[path]}: {told}")
    print(f"{len(names)} folders: official convergence verdicts {tally['pass']} pass, {tally['fail']} fail, {tally['die']} die; "
          f"{len(failures)} judged differently here")
    return failures


def benchmarks_of(module, ruleset):
    folder = os.path.join(os.path.dirname(module.__file__), f"training_{ruleset}")
    return sorted(name[len("rcps_"):-len(".json")] for name in os.listdir(folder) if name.startswith("rcps_"))


def scripted_organization(writer, folder):
    """An organisation with the scripted gpt_oss_20b log, its times and samples bent, in several systems."""
    plain = os.path.join(folder, "scripted.txt")
    subprocess.run([writer, plain], check=True)
    with open(plain, encoding="ascii") as file:
        records = [json.loads(line[len(TOKEN):]) for line in file]
    rng = random.Random(11)
    organization = os.path.join(folder, "TEST")
    os.makedirs(os.path.join(organization, "systems"))
    shapes = {"ten": [], "one_broken": [4], "two_broken": [1, 8], "faster": [], "three": [], "two": [], "two_one_broken": [0]}
    for system, broken in shapes.items():
        runs = {"three": 3, "two": 2, "two_one_broken": 2}.get(system, 10)
        results = os.path.join(organization, "results", system, "gpt_oss_20b")
        os.makedirs(results)
        for run in range(runs):
            factor = rng.uniform(0.8, 1.3)
            lines = []
            for old in records:
                new = json.loads(json.dumps(old))
                begin = records[0]["time_ms"]
                new["time_ms"] = begin + int((old["time_ms"] - begin + (500000 if old["key"] == "run_stop" else 0)) * factor)
                if new["key"] == "seed":
                    new["value"] = run
                if run in broken and new["key"] == "opt_name":
                    new["value"] = "sgd"
                if system == "faster" and "samples_count" in new["metadata"]:
                    new["metadata"]["samples_count"] = int(new["metadata"]["samples_count"] * 0.96)
                lines.append(TOKEN + json.dumps(new))
            with open(os.path.join(results, f"result_{run}.txt"), "w", encoding="ascii") as out:
                out.write("\n".join(lines) + "\n")
        with open(os.path.join(organization, "systems", f"{system}.json"), "w", encoding="ascii") as out:
            json.dump(system_description(system), out)
    return organization, list(shapes)


def system_description(name):
    words = ("submitter status system_name host_processor_model_name host_processor_core_count accelerator_model_name framework "
             "hw_notes sw_notes").split()
    return {**{word: "x" for word in words}, "division": "closed", "submitter": "TEST", "system_name": name,
            "number_of_nodes": "2", "host_processors_per_node": "2", "accelerators_per_node": "8",
            "status": "Available on-premise"}


def compare_summaries(program, writer, folder):
    """The official package checker writes scaling.json, then the summariser reads it: the order that digest 4 asks for."""
    import pandas
    from mlperf_logging.package_checker import package_checker
    from mlperf_logging.result_summarizer import result_summarizer
    organization, systems = scripted_organization(writer, folder)
    own = {}
    for system in systems:
        path = os.path.join(organization, "results", system, "gpt_oss_20b")
        result = subprocess.run([program, "score", "--ruleset", "6.0.0", "--json", path], capture_output=True, text=True)
        own[system] = json.loads(result.stdout)["folders"][0]
    with contextlib.redirect_stdout(io.StringIO()):
        package_checker.check_training_package(organization, "training", "6.0.0", True, False, False, False, False, "-")
        strong, _, _, _ = (list(result_summarizer.summarize_results(organization, "training", "6.0.0")) + [None] * 4)[:4]
    table = strong if isinstance(strong, pandas.DataFrame) else strong.to_dataframe()
    failures, compared = [], 0
    rows = {row["system"]: row["gpt_oss_20b"] for _, row in table.iterrows()}
    for system in systems:
        theirs = rows.get(system)
        theirs = None if theirs is None or math.isnan(theirs) else float(theirs)
        score = own[system]
        mean = score["mean_minutes"]
        factor = score["convergence"]["factor"] if score["convergence"]["scaling_file"] else 1
        mine = None if mean is None else mean * factor
        compared += 1
        if (theirs is None) != (mine is None) or (mine is not None and abs(mine - theirs) > 1e-9 * theirs):
            failures.append(f"score of {system}: they {theirs}, we {mine} ({score['sentence']})")
    print(f"{compared} organisation folders through the official summariser: {len(failures)} scores differ")
    return failures


def compare_reference(reference, folder):
    scripts = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts")
    subprocess.run([sys.executable, os.path.join(scripts, "make_reference_points.py"), "--output", folder], check=True)
    failures = []
    for ruleset in RULESETS:
        with open(os.path.join(folder, f"{ruleset}.json"), "rb") as made, open(os.path.join(reference, f"{ruleset}.json"), "rb") as kept:
            if made.read() != kept.read():
                failures.append(f"reference points {ruleset}: scripts/make_reference_points.py writes another file")
    print(f"reference points: {len(failures)} files differ from the package's")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="", help="Python with mlperf-logging; default TIMETRIAL_MLPERF_PYTHON")
    parser.add_argument("--program", required=True, help="timetrial")
    parser.add_argument("--writer", help="the program write_scripted_log; without it no summaries are compared")
    parser.add_argument("--reference", help="folder of the shipped reference points")
    parser.add_argument("--only", default="", metavar="BENCHMARK", help="folders of this benchmark alone")
    parser.add_argument("--show", type=int, default=30, help="differences to print")
    arguments = parser.parse_args()
    go_on_in(arguments.python or os.environ.get("TIMETRIAL_MLPERF_PYTHON", ""))
    warnings.simplefilter("ignore")  # numpy's on means of nothing, which are meant
    from mlperf_logging.rcp_checker import rcp_checker
    official = Official(rcp_checker)
    with tempfile.TemporaryDirectory() as folder:
        failures = compare_cases(arguments.program, official, folder, arguments.only)
    if arguments.writer:
        with tempfile.TemporaryDirectory() as folder:
            failures += compare_summaries(arguments.program, arguments.writer, folder)
    if arguments.reference:
        with tempfile.TemporaryDirectory() as folder:
            failures += compare_reference(arguments.reference, folder)
    for failure in failures[:arguments.show]:
        print(f"DIFFERENT {failure}")
    if len(failures) > arguments.show:
        print(f"... and {len(failures) - arguments.show} more")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
