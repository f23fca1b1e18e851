#!/usr/bin/env python3
"""Writes the reference convergence points of a ruleset from MLPerf's own package into src/results/reference/.

SPDX-License-Identifier: Apache-2.0

  .venv/bin/python scripts/make_reference_points.py [--output FOLDER]

The points are facts: for a batch size, after how many samples (or epochs) each run of the reference reached its target. The
package, pinned in scripts/test.sh, is their only source; a test makes them again and compares.
"""
import argparse
import glob
import importlib.metadata
import json
import os

from mlperf_logging.rcp_checker import rcp_checker

RULESETS = ("5.1.0", "6.0.0")
# What rcp_checker.read_submission_file takes the convergence point from: metadata.samples_count here, epoch_num elsewhere.
COUNTED_IN_SAMPLES = {"llama2_70b_lora", "flux1", "llama31_405b", "llama31_8b", "gpt_oss_20b", "deepseekv3_671b"}


def points_of(path):
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    benchmark = os.path.basename(path)[len("rcps_"):-len(".json")]
    points = []
    for name, entry in entries.items():
        assert entry["Benchmark"] == benchmark, (path, name)
        reached = entry.get("Epochs to converge", entry.get("samples to converge"))
        points.append({
            "name": name,
            "batch": entry["BS"],
            "reached": sorted(reached),
            "source": f"{entry['Creator']}, {entry['Platform']}, {entry.get('Precision', 'precision not stated')}; {entry['When']}",
        })
    points.sort(key=lambda point: point["batch"])
    assert len({point["batch"] for point in points}) == len(points), f"{path}: a batch size stands twice"
    return benchmark, points


def ruleset_of(version):
    package = os.path.dirname(rcp_checker.__file__)
    benchmarks = {}
    for path in sorted(glob.glob(f"{package}/training_{version}/rcps_*.json")):
        benchmark, points = points_of(path)
        benchmarks[benchmark] = {"runs": rcp_checker.submission_runs["training"][benchmark],
                                 "unit": "samples" if benchmark in COUNTED_IN_SAMPLES else "epochs", "points": points}
    return {
        "schema": "timetrial.reference_points/1",
        "ruleset": version,
        "source": f"mlperf-logging {importlib.metadata.version('mlperf-logging')}, rcp_checker/training_{version}",
        "benchmarks": benchmarks,
    }


def text_of(ruleset):
    """One line per point, so that a change of one shows as one."""
    out = "{\n" + "".join(f"  {json.dumps(key)}: {json.dumps(ruleset[key])},\n" for key in ("schema", "ruleset", "source"))
    out += '  "benchmarks": {\n'
    blocks = []
    for name, benchmark in ruleset["benchmarks"].items():
        points = ",\n".join("      " + json.dumps(point) for point in benchmark["points"])
        blocks.append(f'    {json.dumps(name)}: {{"runs": {benchmark["runs"]}, "unit": "{benchmark["unit"]}", "points": [\n{points}\n    ]}}')
    return out + ",\n".join(blocks) + "\n  }\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--output", default=os.path.join(here, "..", "src", "results", "reference"))
    arguments = parser.parse_args()
    for version in RULESETS:
        with open(os.path.join(arguments.output, f"{version}.json"), "w", encoding="utf-8") as file:
            file.write(text_of(ruleset_of(version)))


if __name__ == "__main__":
    main()
