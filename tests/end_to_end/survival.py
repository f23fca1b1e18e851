"""The log survives: killed at random moments, a full disk, signals in every phase. Whatever happens it parses to its last line.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import time

import programs
from programs import BIN, Case, records, run, wait_for

KILLS = int(os.environ.get("TIMETRIAL_KILLS", "8"))


class Survival(Case):
    def start(self, config, *more, **options):
        return subprocess.Popen([str(BIN / "timetrial"), "run", str(config), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **options)

    def whole_records(self, log):
        """The records of a log of which every line must be one, the last line too."""
        text = log.read_text(encoding="utf-8")
        self.assertTrue(text == "" or text.endswith("\n"), text[-200:])
        found = records(log)
        self.assertEqual(len(found), len(text.splitlines()), "a line is no record")
        return found

    def is_unfinished(self, log):
        """`check` says that the log stops, and after which record on which line."""
        found = self.whole_records(log)
        self.assertNotIn("run_stop", [record["key"] for record in found])
        checked = run("check", log)
        self.assertEqual(checked.returncode, 1, checked.stdout + checked.stderr)
        verdict = checked.stdout.splitlines()[0]
        if found:
            self.assertIn(f"unfinished: no run_stop; the last record is {found[-1]['key']} on line {len(found)}", verdict)
        else:
            self.assertIn("no readable record in 0 lines", checked.stdout)
        return found

    def is_closed(self, log):
        """The record that closes the log: the only run_stop, its status aborted, every interval before it closed."""
        found = self.whole_records(log)
        keys = [record["key"] for record in found]
        self.assertEqual(keys.count("run_stop"), 1)
        self.assertEqual((keys[-1], found[-1]["metadata"]["status"]), ("run_stop", "aborted"))
        for name in ("epoch", "block", "eval"):
            self.assertEqual(keys.count(f"{name}_start"), keys.count(f"{name}_stop"), name)
        return keys


class KillAtRandom(Survival):
    def test_kill_at_random_moments(self):
        config = self.tiny_config(train__max_steps=25)
        started = time.monotonic()
        self.assertEqual(run("run", config, "--set", f"output.folder={self.folder / 'whole'}").returncode, 1)
        seconds = time.monotonic() - started
        keys = {}
        seed = random.SystemRandom().randrange(2**32)
        print(f"random seed {seed}, a whole run takes {seconds:.2f} s")
        moments = random.Random(seed)
        early = late = 0
        while sum(keys.values()) < KILLS:  # the moments are random, so that each run of the test tries others
            self.assertLess(early + late, 20 + 3 * KILLS, "kills hardly ever meet a run that logs")
            folder = self.folder / "killed"
            process = self.start(config, "--set", f"output.folder={folder}")
            time.sleep(moments.uniform(0, seconds))
            process.kill()
            process.communicate()
            log = folder / "result_0.txt"
            if process.returncode != -signal.SIGKILL:
                late += 1  # it was over before
            elif not log.exists():
                early += 1
            elif "run_stop" in [record["key"] for record in self.whole_records(log)]:
                late += 1
            else:
                found = self.is_unfinished(log)
                last = found[-1]["key"] if found else "nothing"
                keys[last] = keys.get(last, 0) + 1
                again = run("run", config, "--set", f"output.folder={folder}")
                self.assert_one_line_error(again, "already holds a run")
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{sum(keys.values())} kills left an unfinished log, {early} came before there was one, {late} after the run; "
              f"last records: {keys}")


class FullDisk(Survival):
    def ends_with_one_line(self, done, log, reason):
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        last = [line for line in done.stderr.splitlines() if line.startswith("timetrial: ")]
        self.assertEqual(len(last), 1, done.stderr)
        self.assertEqual(done.stderr.splitlines()[-1], last[0])
        self.assertIn(f"result_0.txt: cannot write the log ({reason}); free the disk", last[0])
        self.assertGreater(len(self.is_unfinished(log)), 0)

    def test_file_size_limit_at_many_places(self):
        config = self.tiny_config(train__max_steps=30)
        self.assertEqual(run("run", config, "--set", f"output.folder={self.folder / 'whole'}").returncode, 1)
        whole = (self.folder / "whole" / "result_0.txt").stat().st_size
        copy = (self.folder / "whole" / "effective_config.json").stat().st_size
        self.assertLess(copy, whole // 3, "the limit must let the config through")
        for i, size in enumerate((whole // 3, whole // 2, whole * 3 // 4, whole * 9 // 10)):
            folder = self.folder / f"run{i}"
            done = run("run", config, "--set", f"output.folder={folder}",
                       preexec_fn=lambda size=size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
            self.ends_with_one_line(done, folder / "result_0.txt", "File too large")

    def test_no_room_for_the_config_is_refused_and_leaves_nothing(self):
        config = self.tiny_config()
        done = run("run", config, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
        self.assert_one_line_error(done, "/output/folder", "File too large")
        self.assertFalse((self.folder / "run").exists())

    def test_disk_that_is_full(self):
        """A file system of 64 KiB of our own, in a mount namespace of our own."""
        config = self.tiny_config(train__max_steps=2000)
        disk = self.folder / "disk"
        disk.mkdir()
        script = ('mount -t tmpfs -o size=64k tmpfs "$1" || exit 77; "$2" run "$3" --set output.folder="$1/run"; code=$?; '
                  'cp "$1/run/result_0.txt" "$4"; exit $code')
        log = self.folder / "result_0.txt"
        done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", disk, BIN / "timetrial", config, log],
                              capture_output=True, text=True, check=False)
        if not log.exists() and ("unshare" in done.stderr or done.returncode == 77):
            self.skipTest(f"no file system of our own can be mounted here: {done.stderr.strip()}")
        self.ends_with_one_line(done, log, "No space left on device")


class Signals(Survival):
    SIGNALS = ((signal.SIGINT, 130), (signal.SIGTERM, 143))

    def interrupted(self, config, until, number, code, *more):
        folder = self.folder / f"run{number}"
        process = self.start(config, "--set", f"output.folder={folder}", *more)
        log = folder / "result_0.txt"
        try:
            wait_for(process, log, until)
        finally:
            process.send_signal(number)
        output, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, code, errors)
        self.assertIn("interrupted", output)
        return self.is_closed(log)

    def test_during_warm_up(self):
        config = self.tiny_config(train__global_batch=1024, train__micro_batch=4, evaluation__every_samples=4096)
        for number, code in self.SIGNALS:
            keys = self.interrupted(config, "timetrial_config_hash", number, code)
            self.assertNotIn("run_start", keys)
            self.assertNotIn("init_stop", keys)

    def test_during_an_evaluation(self):
        prefix = str(self.folder / "tiny-train")
        config = self.tiny_config(data__validation=prefix, evaluation__samples=1000)
        for number, code in self.SIGNALS:
            keys = self.interrupted(config, "eval_start", number, code)
            self.assertEqual(keys[-4:], ["eval_start", "eval_stop", "epoch_stop", "run_stop"])
            self.assertNotIn("eval_accuracy", keys)

    def test_during_a_block(self):
        config = self.tiny_config(train__max_steps=100000, evaluation__every_samples=400000)
        for number, code in self.SIGNALS:
            keys = self.interrupted(config, "tracked_stats", number, code)
            self.assertEqual(keys[-3:], ["block_stop", "epoch_stop", "run_stop"])

    def test_between_blocks_of_one_step(self):
        config = self.tiny_config(train__max_steps=100000, evaluation__every_samples=8)
        for number, code in self.SIGNALS:
            self.interrupted(config, "eval_stop", number, code)

    def test_reader_that_goes_away_does_not_end_the_run(self):
        """`timetrial run ... 2>&1 | head -1`: the pipe closes, the run goes on and its log is whole."""
        config = self.tiny_config()
        read, write = os.pipe()
        process = subprocess.Popen([str(BIN / "timetrial"), "run", str(config)], stdout=subprocess.DEVNULL, stderr=write)
        os.close(write)
        os.close(read)
        self.assertEqual(process.wait(timeout=300), 1)
        keys = self.is_closed(self.folder / "run" / "result_0.txt")
        self.assertEqual(keys.count("tracked_stats"), 20)

    def test_data_that_fails_inside_an_evaluation_closes_it(self):
        config = self.tiny_config(evaluation__samples=64, evaluation__every_samples=80)
        data = self.folder / "tiny-validation.bin"
        broken = bytearray(data.read_bytes())
        broken[4000:4002] = b"\xff\xff"
        data.write_bytes(bytes(broken))
        done = run("run", config)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("tiny-validation.bin: token id 65535 at token position 2000", done.stderr)
        keys = self.is_closed(self.folder / "run" / "result_0.txt")
        self.assertEqual(keys[-4:], ["eval_start", "eval_stop", "epoch_stop", "run_stop"])


if __name__ == "__main__":
    programs.main()
