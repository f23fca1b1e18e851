#!/usr/bin/env python3
"""Writes workloads/<workload>/published.json from collected facts of published MLPerf Training rounds.

SPDX-License-Identifier: Apache-2.0

  scripts/make_published.py v5.1.json v6.0.json [--date YYYY-MM-DD]

Each input holds the records of one round, read from the public results repository of that round: one record per result
folder, with the facts of its system and of each run. What is an estimate there stays marked as one: `estimated` of a record
or run names the fields that nobody measured. The output is what `timetrial results list` reads, schema timetrial.results/1.
"""
import argparse
import json
import os

WORKLOADS = ("gpt_oss_20b", "llama31_405b", "deepseekv3_671b")
# Day of publication, from MLCommons' announcements.
ROUNDS = {
    "v5.1": {"date": "2025-11-12", "ruleset": "5.1.0", "source": "https://github.com/mlcommons/training_results_v5.1"},
    "v6.0": {"date": "2026-06-16", "ruleset": "6.0.0", "source": "https://github.com/mlcommons/training_results_v6.0"},
}
NOTES = {"note": "", "gbs_note": "global_batch: ", "parallelism_note": "parallelism: ", "inferred_note": "",
         "target_loss_note": "target: ", "gradient_accumulation_note": "accumulation: ", "gas_source": "accumulation: ",
         "system_info_source": "system facts from ", "sw_notes": "software notes: "}


def without_absent(record):
    return {key: value for key, value in record.items() if value not in (None, "", [], {})}


def run_of(run):
    estimated = []
    if run.get("run_ms_estimated"):
        estimated.append("run_ms")
    if run.get("samples_inferred_from_log_length"):
        estimated.append("samples")
    return without_absent({
        "file": os.path.basename(run["file"]),
        "status": run.get("status", run.get("run_status")),
        "seed": run.get("seed"),
        "run_ms": run["run_ms"],
        "init_ms": run.get("init_ms"),
        "run_start_ms": run.get("run_start_ms"),
        "samples": run["samples_to_target"],
        "loss": run.get("final_eval", run.get("final_eval_loss")),
        "evaluations": run.get("evals"),
        "evaluation_ms": run.get("eval_ms_total"),
        "step_s": run.get("median_step_s", run.get("train_step_time_s_typical")),
        "estimated": estimated,
    })


def parallelism_of(record):
    old = record.get("parallelism", {})
    return without_absent({name: record.get(f"{name}_parallelism", old.get(short))
                           for name, short in (("tensor", "tp"), ("pipeline", "pp"), ("context", "cp"), ("expert", "ep"))})


def precision_of(record):
    logged = [record.get(f"lowest_numerical_precision_in_{part}") for part in ("linear", "attn", "comm")]
    text = record.get("precision") or ""
    if all(logged):
        text += ("; " if text else "") + "logged: linear {}, attention {}, communication {}".format(*logged)
    return text


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def record_of(record):
    runs = [run_of(run) for run in record["runs"]]
    estimated = ["minutes"] if record.get("time_to_train_is_estimate") else []
    # What collectors inferred instead of reading it; "(how)" behind a field's name goes to the notes.
    names = {"global_batch_size": "global_batch", "gradient_accumulation_steps": "accumulation", "micro_batch_size": "micro_batch"}
    notes = [prefix + record[key] for key, prefix in NOTES.items() if record.get(key)]
    for field in record.get("inferred_fields", []):
        name = field.split(" ")[0]
        if name in names:
            estimated.append(names[name])
        else:
            notes.append(field)
    steps = [run["step_s"] for run in runs if "step_s" in run]
    minutes = record.get("published_minutes", record.get("published_time_to_train_minutes") or record["time_to_train_minutes"])
    result = without_absent({
        "round": record["round"],
        "organization": record["org"],
        "system": record["system"],
        "benchmark": record["benchmark"],
        "division": record["division"],
        "status": record.get("status"),
        "nodes": record["nodes"],
        "accelerators_per_node": record["accelerators_per_node"],
        "accelerators": record["accelerators_total"],
        "accelerator": record["accelerator_model"],
        "host_processor": record.get("host_processor"),
        "interconnect": record.get("interconnect"),
        "framework": record.get("software", record.get("framework")),
        "global_batch": record["global_batch_size"],
        "accumulation": record.get("gradient_accumulation_steps"),
        "micro_batch": record.get("micro_batch_size"),
        "parallelism": parallelism_of(record),
        "parallelism_source": record.get("parallelism_source"),
        "precision": precision_of(record),
        "minutes": minutes,
        "minutes_unscaled": record.get("time_to_train_minutes_raw", record["time_to_train_minutes"]),
        "scaling_factor": record.get("rcp_scaling_factor"),
        "step_s": median(steps) if steps else None,
        "method": record["method"],
        "published_source": record.get("published_source"),
        "estimated": estimated,
        "notes": notes,
    })
    return {**result, "runs": runs}


def text_of(document):
    """One line per run and per record's head, so that differences read well."""
    records = []
    for record in document["records"]:
        head = json.dumps({k: v for k, v in record.items() if k != "runs"}, ensure_ascii=False)
        runs = ",".join("\n    " + json.dumps(run, ensure_ascii=False) for run in record["runs"])
        records.append(f'  {head[:-1]}, "runs": [{runs}]}}')
    head = json.dumps({k: v for k, v in document.items() if k != "records"}, ensure_ascii=False, indent=1)
    return head[:-2] + ',\n "records": [\n' + ",\n".join(records) + "\n ]\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("facts", nargs="+", help="collected facts of a round, JSON")
    parser.add_argument("--date", default="2026-11-22", help="day on which this was made")
    parser.add_argument("--output", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "workloads"))
    arguments = parser.parse_args()
    records = []
    for path in arguments.facts:
        with open(path, encoding="utf-8") as file:
            records += json.load(file)
    for workload in WORKLOADS:
        own = [record_of(record) for record in records if record["benchmark"] == workload]
        own.sort(key=lambda record: (record["round"], record["organization"], -record["accelerators"], record["system"]))
        rounds = sorted({record["round"] for record in own})
        document = {
            "schema": "timetrial.results/1",
            "workload": workload,
            "made": arguments.date,
            "rounds": {name: ROUNDS[name] for name in rounds},
            "records": own,
        }
        folder = os.path.join(arguments.output, workload)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "published.json"), "w", encoding="utf-8") as file:
            file.write(text_of(document))
        print(f"{workload}: {len(own)} records, {sum(len(record['runs']) for record in own)} runs, "
              f"{sum('minutes' in record.get('estimated', []) for record in own)} with an estimated time")


if __name__ == "__main__":
    main()
