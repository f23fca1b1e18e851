"""Runs the built programs the way a user does. Shared by the end-to-end tests; standard library only.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ["TIMETRIAL_BIN"])
SOURCE = pathlib.Path(os.environ["TIMETRIAL_SOURCE"])
SMALL = SOURCE / "configs/small/gpt_oss_20b.json"
TOKEN = ":::MLLOG "


def run(*arguments, program="timetrial", timeout=900, **options):
    """The finished process, its output as text."""
    return subprocess.run([str(BIN / program), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          check=False, **options)


def sanitized():
    """Whether the programs are built with the address sanitizer, which reserves terabytes of address space."""
    return "libasan" in subprocess.run(["ldd", str(BIN / "timetrial")], capture_output=True, text=True, check=True).stdout


def records(log):
    """Every record of a log as a dictionary."""
    lines = pathlib.Path(log).read_text(encoding="utf-8").splitlines()
    return [json.loads(line[len(TOKEN):]) for line in lines if line.startswith(TOKEN)]


def values(log, key):
    return [record["value"] for record in records(log) if record["key"] == key]


class Case(unittest.TestCase):
    """A test with a folder of its own and a tiny corpus of bytes for quick runs."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory(prefix="timetrial ü ")  # a space and a non-ASCII letter, on purpose
        self.addCleanup(self._folder.cleanup)
        self.folder = pathlib.Path(self._folder.name)

    def tiny_config(self, **changes):
        """A config on a made-up corpus that trains a few steps in a second; `changes` are dotted keys with __ for the dot."""
        prefix = self.folder / "tiny"
        if not prefix.with_name("tiny-train.idx").exists():
            text = "".join(f"entry {i}: the quick brown fox jumps over {i * 7919 % 1000} lazy dogs\n\n" for i in range(3000))
            corpus = self.folder / "corpus.txt"
            corpus.write_text(text, encoding="utf-8")
            done = run("data", "prepare", corpus, "--output", prefix, "--tokenizer", "bytes", "--validation-fraction", "0.1")
            self.assertEqual(done.returncode, 0, done.stderr)
        config = {"workload": "gpt_oss_20b", "variant": "small",
                  "data.train": f"{prefix}-train", "data.validation": f"{prefix}-validation",
                  "output.folder": str(self.folder / "run"), "model.vocabulary": 256, "train.max_steps": 20,
                  "train.global_batch": 8, "train.micro_batch": 4, "train.warmup_steps": 2, "train.seed": 5,
                  "evaluation.samples": 8, "evaluation.every_samples": 40, "evaluation.target": 0.01}
        if "TIMETRIAL_TEST_THREADS" in os.environ:  # of the thread sanitizer, see scripts/test.sh
            config["device.threads"] = int(os.environ["TIMETRIAL_TEST_THREADS"])
        config.update({key.replace("__", "."): value for key, value in changes.items()})
        path = self.folder / "tiny.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def assert_one_line_error(self, done, *needles):
        """Exit code 2, one line on stderr that holds every needle, nothing on stdout."""
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        for needle in needles:
            self.assertIn(needle, done.stderr)


def wait_for(process, log, text, seconds=120):
    """Returns when a run's log holds this text."""
    deadline = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text(encoding="utf-8")):
        if process.poll() is not None:
            raise AssertionError(f"the run ended before its log held {text}")
        if time.monotonic() > deadline:
            raise AssertionError(f"the run's log never held {text}")
        time.sleep(0.005)


def main():
    if "--need-gcide" in sys.argv:
        sys.argv.remove("--need-gcide")
        if not (SOURCE / "data/gcide/gcide-train.idx").exists():
            print("skipped: data/gcide is not there; scripts/test.sh prepares it")
            sys.exit(77)
    unittest.main(verbosity=2)
