# What a run's process holds at most, told apart by owner: tensors and bookkeeping, code that libraries generate, files mapped.
# SPDX-License-Identifier: Apache-2.0
"""Peaks of a process by reading /proc/PID/smaps while it runs; Linux only.

The engine's tensors and the order of samples are private pages that are not executable. A run of the `null` workload
holds only what the program itself needs of these; the difference is what `timetrial plan` predicts.
"""
import pathlib
import re
import subprocess
import time

INTERVAL = 0.005  # seconds; tensors are kept from the first step to the last, so a peak is not missed between two looks
MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ (\S{4}) ")


def pages(pid):
    """Resident bytes now: private pages, generated code (private and executable), pages of files."""
    now = {"private": 0, "generated_code": 0, "files": 0}
    rights = ""
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        mapping = MAPPING.match(line)
        if mapping:
            rights = mapping[1]
        elif line.startswith("Rss:"):
            resident = int(line.split()[1]) * 1024
        elif line.startswith("Anonymous:"):
            anonymous = int(line.split()[1]) * 1024
            now["generated_code" if "x" in rights else "private"] += anonymous
            now["files"] += resident - anonymous
    return now


def run_and_watch(command, **options):
    """Runs a command to its end: the process, its standard output, and the peak of each kind of page."""
    peaks = {}
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, **options)
    while process.poll() is None:
        try:
            for kind, held in pages(process.pid).items():
                peaks[kind] = max(peaks.get(kind, 0), held)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            break  # it ended between two looks
        time.sleep(INTERVAL)
    out, _ = process.communicate()
    return process, out, peaks
