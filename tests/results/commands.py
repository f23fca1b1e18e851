# What a user sees of `timetrial score` and `timetrial results`: words, exit codes, and that nothing is written.
# SPDX-License-Identifier: Apache-2.0
"""commands.py TIMETRIAL WRITE_SCRIPTED_LOG"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM, WRITER = sys.argv[1:]
UNVERIFIED_COMPARISON = "Unverified results have not been through an MLPerf review"


def run(*arguments):
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
    return result.returncode, result.stdout, result.stderr


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def tree(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


def copy_with_seed(log, path, seed):
    with open(log, encoding="ascii") as file:
        text, count = re.subn(r'("key": "seed", "value": )\d+', rf"\g<1>{seed}", file.read())
    check(count == 1, "the scripted log holds one seed")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def make_round(folder):
    """training_results_v6.0 with one organisation, one system, ten times the scripted log with a seed of its own."""
    results = os.path.join(folder, "training_results_v6.0", "TEST", "results", "box", "gpt_oss_20b")
    os.makedirs(results)
    os.makedirs(os.path.join(folder, "training_results_v6.0", "TEST", "systems"))
    first = os.path.join(results, "result_0.txt")
    subprocess.run([WRITER, first], check=True)
    for i in range(10):
        copy_with_seed(first, os.path.join(results, f"result_{i}.txt"), i)
    with open(os.path.join(folder, "training_results_v6.0", "TEST", "systems", "box.json"), "w", encoding="ascii") as file:
        json.dump({"submitter": "TEST", "division": "closed", "status": "Preview", "system_name": "box", "number_of_nodes": "1",
                   "accelerators_per_node": "8", "accelerator_model_name": "Chip", "host_processor_model_name": "c",
                   "framework": "f"}, file)
    return results


def list_published():
    code, out, _ = run("results", "list", "--workload", "gpt_oss_20b", "--today", "2026-11-22")
    check(code == 0 and out.startswith("37 of 61 results match; age counts from the round's publication to 2026-11-22\n"), "list: first line")
    check("159 days" in out and "~16.705" in out and "~ is an estimate" in out, "list: age and estimates")
    check("MLPerf® Training results of round v6.0 https://github.com/mlcommons/training_results_v6.0 (2026-06-16)." in out
          and "trademarks of MLCommons Association" in out, "list: source and trademark")
    check("unverified" not in out, "list: published results are not unverified")
    code, out, _ = run("results", "list", "--workload", "gpt_oss_20b", "--round", "v5.1")
    check(code == 1 and out.startswith("no result matches"), "list: nothing matches")
    for option, name, there in (("--workload", "nothing", "llama31_405b"), ("--round", "v9", "v5.1, v6.0"), ("--round", "9", "v5.1, v6.0"),
                                ("--division", "foo", "closed, open"), ("--submitter", "Nobody", "NVIDIA")):
        code, out, error = run("results", "list", option, name, "--json")
        check(code == 2 and out == "" and error.count("\n") == 1 and option in error and there in error, f"list: {option} {name} is no name")
    check(run("results", "list", "--division", "OPEN")[0] == 0, "list: names in any case")
    check(run("results", "list", "--round", "5.1") == run("results", "list", "--round", "v5.1"), "list: 5.1 is v5.1")
    code, out, _ = run("results", "list", "--round", "v6.0", "--today", "2020-01-01")
    check(code == 0 and "days" not in out and re.search(r"v6\.0  -  ", out), "list: no age before the day of publication")
    rows = json.loads(run("results", "list", "--round", "v6.0", "--today", "2020-01-01", "--json")[1])["records"]
    check(rows and all(row["age_days"] is None for row in rows), "list: no age before the day of publication, as JSON")
    code, out, error = run("results", "list", "--count", "9..8")
    check(code == 2 and error.count("\n") == 1, "list: bad count is one line")
    code, out, _ = run("results", "list", "--workload", "llama31_405b", "--round", "v5.1", "--json", "--today", "2025-11-22")
    rows = json.loads(out)
    check(rows["schema"] == "timetrial.results_list/1" and len(rows["records"]) == 8 and rows["records"][0]["age_days"] == 10
          and rows["records"][0]["review"] == "reviewed", "list: JSON")


def score_and_import(folder):
    results = make_round(folder)
    before = tree(folder)
    code, out, _ = run("score", results)
    lines = out.splitlines()
    check(code == 0 and "minutes (unverified [1])" in lines[0] and lines[-1].lstrip().startswith("[1] Unverified MLPerf® Training v6.0 Closed"),
          "score: sentence first, footnote last")
    check(tree(folder) == before, "score: writes nothing")
    code, out, _ = run("score", "--json", results, os.path.join(folder, "nowhere"))
    scores = json.loads(out)["folders"]
    check(code == 2 and scores[0]["passed"] and not scores[1]["passed"], "score: the worst folder decides the exit code")
    os.remove(os.path.join(results, "result_9.txt"))
    check(run("score", results)[0] == 1, "score: nine runs are no score")
    shutil.copy(os.path.join(results, "result_0.txt"), os.path.join(results, "result_9.txt"))
    code, out, _ = run("score", results)
    check(code == 1 and "seeds: every run has a seed of its own" in out and "result_0.txt, result_9.txt" in out, "score: a repeated seed")
    check(run("score", "--seed-checker-bypass", results)[0] == 0, "score: a repeated seed is accepted with the bypass")
    copy_with_seed(os.path.join(results, "result_0.txt"), os.path.join(results, "result_9.txt"), 9)

    output = os.path.join(folder, "round.json")
    code, out, _ = run("results", "import", os.path.join(folder, "training_results_v6.0"), "--output", output)
    check(code == 0 and "1 records from 1 folders and 10 logs" in out.splitlines()[0], "import: first line")
    check(" unverified" in out and "Result not verified by MLCommons Association." in out, "import: unverified and its sentence")
    check(run("results", "import", os.path.join(folder, "training_results_v6.0"), "--output", output)[0] == 2, "import: overwrites nothing")
    code, out, _ = run("results", "list", "--file", output, "--workload", "gpt_oss_20b", "--accelerator", "chip")
    check(code == 0 and out.startswith("1 of 62 results match") and "unverified" in out, "list: an imported file")
    code, out, _ = run("results", "list", "--file", output, "--workload", "gpt_oss_20b")
    check(UNVERIFIED_COMPARISON in out, "list: unverified beside published results")
    os.remove(os.path.join(folder, "training_results_v6.0", "TEST", "systems", "box.json"))
    code, out, _ = run("results", "import", os.path.join(folder, "training_results_v6.0"))
    check(code == 1 and "problem: " in out and "systems/box.json" in out, "import: a missing system file")
    os.makedirs(os.path.join(folder, "training_results_v5.1", "ORG", "results"))
    for name, words in (("training_results_v5.1", "result_*.txt in it"), ("nowhere", "no such folder")):
        code, _, error = run("results", "import", os.path.join(folder, name))
        check(code == 2 and name in error and words in error, f"import of nothing: {name}")


def main():
    list_published()
    with tempfile.TemporaryDirectory() as folder:
        score_and_import(folder)
    print("score and results commands: words, exit codes and files are as documented")


if __name__ == "__main__":
    main()
