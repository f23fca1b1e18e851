"""Ranks that go: killed, stopped, failing, out of memory, out of step, asked to end. All others end in time, one line names the one, the log is
closed. TIMETRIAL_ENDINGS says how often the first six are tried.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import programs
from programs import BIN, Case, records, run, wait_for

MPI = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
           OMPI_MCA_mpi_yield_when_idle="1")
RANKS = 4
DEADLINE = 5  # seconds; of heartbeats and collectives here
# Seconds on a loaded machine until all have ended: when a rank's end is seen at once, and when it takes a deadline to tell.
SOON, LATE = 2 * DEADLINE, DEADLINE + 20
TIMES = int(os.environ.get("TIMETRIAL_ENDINGS", "3"))


def call_of(i):
    """A call in mid-training, another kind of collective from one to the next."""
    return 150 + 17 * (i % 11)


def pids_of_ranks(launcher):
    """Rank -> process id of the workers below an mpirun."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() != "timetrial-worke":
                continue
            variables = dict(item.split("=", 1) for item in (entry / "environ").read_bytes().decode(errors="replace").split("\0") if "=" in item)
        except OSError:
            continue
        if variables.get("TIMETRIAL_TEST_OF") == str(launcher):
            found[int(variables["OMPI_COMM_WORLD_RANK"])] = int(entry.name)
    return found


class Endings(Case):
    def start(self, folder, mark, program=("timetrial-worker", ), **changes):
        """Ranks under mpirun. `program` is the worker, or the test program that fails and how."""
        config = self.tiny_config(**{"train__micro_batch": 1, "train__max_steps": 100000, "train__warmup_steps": 1,
                                     "evaluation__every_samples": 400000, "evaluation__samples": 4, "device__threads": 1, **changes})
        return subprocess.Popen(
            ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(RANKS), str(BIN / program[0]), str(config), *map(str, program[1:])] +
            (["--set", f"parallel.dp={RANKS}", "--set"] if len(program) == 1 else [f"parallel.dp={RANKS}"]) +
            [f"output.folder={folder}"] + (["--set"] if len(program) == 1 else []) + [f"cluster.step_deadline={DEADLINE}"],
            env=dict(MPI, TIMETRIAL_TEST_OF=mark), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end_one(self, number, rank, name):
        """Sends a signal to one rank in mid-training; its process id, the lines of the program, the log, the seconds it took."""
        folder = self.folder / name
        process = self.start(folder, name)
        try:
            wait_for(process, folder / "result_0.txt", "tracked_stats")
            pids = pids_of_ranks(name)
            self.assertEqual(sorted(pids), list(range(RANKS)))
            started = time.monotonic()
            os.kill(pids[rank], number)
            _, errors = process.communicate(timeout=60)
            seconds = time.monotonic() - started
        finally:
            for pid in pids_of_ranks(name).values():
                os.kill(pid, signal.SIGKILL)  # also one that is stopped
            process.kill()
        self.assertNotEqual(process.returncode, 0)
        lines = [line for line in errors.splitlines() if line.startswith("timetrial: ")]
        return pids[rank], lines, folder / "result_0.txt", seconds

    def fail_one(self, failure, rank, call, name):
        """One rank does something else in a call of its data group: the line of the program, the log."""
        folder = self.folder / name
        process = self.start(folder, name, ("run_failing_rank", failure, rank, call))
        try:
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
        self.assertNotEqual(process.returncode, 0)
        lines = [line for line in errors.splitlines() if line.startswith("timetrial: ")]
        self.assertEqual(len(lines), 1, errors)
        return lines[0], folder / "result_0.txt"

    def assert_aborted(self, log, seconds=None):
        """Closed as aborted, within these seconds of the last step that all ranks made."""
        found = records(log)
        last = found[-1]
        self.assertEqual((last["key"], last["metadata"]["status"]), ("run_stop", "aborted"))
        if seconds is not None:
            step = max(record["time_ms"] for record in found if record["key"] == "tracked_stats")
            self.assertLess(last["time_ms"] - step, 1000 * seconds)

    def test_killed(self):
        for i in range(TIMES):
            rank = 1 + i % (RANKS - 1)
            pid, lines, log, seconds = self.end_one(signal.SIGKILL, rank, f"killed{i}")
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(f"rank {rank} on host ", lines[0])
            self.assertIn(f"(pid {pid}) ended without a word", lines[0])
            self.assertLess(seconds, SOON)
            self.assert_aborted(log)

    def test_stopped(self):
        for i in range(TIMES):
            rank = 1 + i % (RANKS - 1)
            pid, lines, log, seconds = self.end_one(signal.SIGSTOP, rank, f"stopped{i}")
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(f"rank {rank} on host ", lines[0])
            self.assertIn(f"(pid {pid}) has been silent for ", lines[0])
            self.assertLess(seconds, LATE)
            self.assert_aborted(log)

    def test_throwing(self):
        for i in range(TIMES):
            rank = i % RANKS
            line, log = self.fail_one("throws", rank, call_of(i), f"throws{i}")
            self.assertRegex(line, f"rank {rank} on host .* failed in training, step [0-9]+, .*a sensor melted")
            self.assertIn("waited in ", line)
            self.assert_aborted(log, SOON)

    def test_out_of_memory(self):
        for i in range(TIMES):
            rank = i % RANKS
            line, log = self.fail_one("memory", rank, call_of(i), f"memory{i}")
            self.assertRegex(line, f"rank {rank} on host .* (no memory is left|ended without a word)")
            if rank != 0:  # with no memory rank 0 may not get to it
                self.assert_aborted(log, SOON)

    def test_skipping(self):
        for i in range(TIMES):
            rank = i % RANKS
            line, log = self.fail_one("skips", rank, call_of(i), f"skips{i}")
            self.assertRegex(line, f"rank {rank} is out of step: .*; ranks .* waited in|data: rank {rank} calls .* where ranks .* call ")
            self.assert_aborted(log, LATE)

    def test_another_size(self):
        for i in range(TIMES):
            rank = i % RANKS
            line, log = self.fail_one("size", rank, call_of(i), f"size{i}")
            self.assertRegex(line, f"rank {rank} is out of step: .*; ranks .* waited in|data: rank {rank} calls .* of 7 f32 .* where ranks .* call ")
            self.assert_aborted(log, LATE)

    def test_other_configuration(self):
        """Ranks that were started with different settings do not begin, and the key that differs is named."""
        config, folder = self.tiny_config(train__micro_batch=1, train__global_batch=6), self.folder / "other"
        worker = [str(BIN / "timetrial-worker"), str(config), "--ranks", "3", "--set", f"output.folder={folder}"]
        done = subprocess.run(["mpirun", "--oversubscribe", "--bind-to", "none", "-np", "1", *worker, ":", "-np", "1", *worker, "--set",
                               "evaluation.target=0.02", ":", "-np", "1", *worker], env=MPI, capture_output=True, text=True, timeout=60, check=False)
        lines = [line for line in done.stderr.splitlines() if line.startswith("timetrial: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn("rank 1 on host ", lines[0])
        self.assertIn("has another configuration", lines[0])
        self.assertIn("evaluation.target is 0.02 there and 0.01 here; start all ranks with the same file and the same --set", lines[0])
        self.assertEqual(done.returncode, 2)
        self.assertFalse(folder.exists(), "nothing may be written before the ranks have met")

    def test_first_rank_killed(self):
        """Nobody is left to close the log; another rank says who went."""
        _, lines, log, _ = self.end_one(signal.SIGKILL, 0, "first")
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("rank 0 on host ", lines[0])
        self.assertIn(" ended without a word", lines[0])
        self.assertIn("unfinished: no run_stop", run("check", log).stdout)

    def test_asked_to_end(self):
        """SIGTERM at every rank, as a scheduler with grace sends it: all end in order and the log is closed."""
        folder = self.folder / "asked"
        process = self.start(folder, "asked")
        try:
            wait_for(process, folder / "result_0.txt", "tracked_stats")
            for pid in pids_of_ranks("asked").values():
                os.kill(pid, signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        self.assertIn("interrupted", output)
        self.assertEqual([line for line in errors.splitlines() if line.startswith("timetrial: ")], [])
        self.assert_aborted(folder / "result_0.txt")


if __name__ == "__main__":
    if shutil.which("mpirun") is None:
        print("skipped: mpirun is not installed (Debian: openmpi-bin)")
        sys.exit(77)
    programs.main()
