#!/usr/bin/env python3
"""Checks that every file includes only its own layer and lower ones, that public headers name no CUDA, NCCL or MPI header,
and that no source file is too long to be one idea.

SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import sys

LAYERS = {
    "base": 0,
    "config": 1, "mllog": 1, "device": 1,
    "tensor": 2,
    "ops": 3, "comm": 3,
    "parallel": 4,
    "nn": 5, "data": 5, "checkpoint": 5,
    "train": 6, "results": 6, "predict": 6, "diagnose": 6, "launch": 6,
    "workloads": 7,
    "apps": 8,
}
FOREIGN = re.compile(r'#include [<"](cuda|cublas|cudnn|nccl|mpi|nvml)[\w./]*[>"]')
INCLUDE = re.compile(r'#include "([^"]+)"')
MOST_LINES = 400


def layer_of_file(path):
    parts = path.parts
    if parts[0] == "include":
        return parts[2]
    return "workloads" if parts[0] == "workloads" else parts[1]


def layer_of_include(text, own):
    parts = text.split("/")
    if parts[0] == "timetrial" and len(parts) > 2:
        return parts[1]
    if parts[0] in LAYERS:
        return parts[0]
    return own


def problems(root):
    files = [f for top in ("include", "src", "workloads") for f in sorted((root / top).rglob("*")) if f.suffix in (".h", ".cpp", ".cu", ".cuh")]
    if not files:
        yield "no source files found"
    for file in files:
        path = file.relative_to(root)
        own = layer_of_file(path)
        if own not in LAYERS:
            yield f"{path}: '{own}' is no layer"
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if path.parts[0] == "include" and FOREIGN.search(line):
                yield f"{path}:{number}: a public header includes {line.split()[1]}"
            match = INCLUDE.search(line)
            if not match:
                continue
            other = layer_of_include(match.group(1), own)
            if other == own:
                continue
            if other not in LAYERS:
                yield f"{path}:{number}: '{other}' is no layer"
            elif LAYERS[other] >= LAYERS[own]:
                yield f"{path}:{number}: layer {own} ({LAYERS[own]}) includes {match.group(1)} of layer {other} ({LAYERS[other]})"


def long_files(root):
    for top in ("include", "src", "workloads", "tests", "benchmarks", "scripts"):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".cu", ".cuh", ".py", ".sh"):
                continue
            lines = len(file.read_text(encoding="utf-8").splitlines())
            if lines > MOST_LINES:
                yield f"{file.relative_to(root)}: {lines} lines, at most {MOST_LINES}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = [*problems(root), *long_files(root)]
    for problem in found:
        print(problem)
    print("layers: " + (f"{len(found)} problems" if found else "every include points downward"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
