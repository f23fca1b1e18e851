"""`timetrial run` that starts ranks and stays: as processes of its own (a stand-in for the worker, since real ones need GPUs) and
through mpirun. Places, signals, deadlines, exit codes, and logs that rank 0 left open.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import time

import programs
from programs import BIN, SOURCE, Case, records, run, values, wait_for

STAND_IN = '''#!{python}
import json, os, pathlib, signal, sys, time
folder = pathlib.Path(os.environ["STAND_IN_FOLDER"])
if "--start-facts" in sys.argv:
    if "refuse" in os.environ.get("STAND_IN", ""):
        print("timetrial: refused", file=sys.stderr)
        sys.exit(2)
    print(json.dumps({{"cuda": True, "ranks": int(sys.argv[sys.argv.index("--ranks") + 1]), "folder": str(folder / "run"), "step_deadline": 0}}))
    sys.exit()
rank = int(os.environ["TIMETRIAL_RANK"])
deed = json.loads(os.environ["STAND_IN"]).get(str(rank), "exit 0")
mine = {{name: value for name, value in os.environ.items() if name.startswith("TIMETRIAL_")}}
if deed.startswith("ignore"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if deed.startswith("note"):
    def note(number, _):
        (folder / f"signal_{{rank}}").write_text(str(number))
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
if rank == 0 and os.environ.get("STAND_IN_LOG"):
    (folder / "run/ranks").mkdir(parents=True)
    (folder / "run/result_0.txt").write_text("".join(
        ':::MLLOG ' + json.dumps({{"namespace": "", "time_ms": 1, "event_type": "INTERVAL_START", "key": key, "value": None, "metadata": {{}}}}) + "\\n"
        for key in ("init_start", "run_start", "block_start")))
print("said by rank", rank, flush=True)
print("timetrial: complaint of rank", rank, file=sys.stderr, flush=True)
part = folder / f"part_{{rank}}"
part.write_text(json.dumps(dict(mine, arguments=sys.argv[1:], pid=os.getpid(), pgid=os.getpgid(0))))
part.rename(folder / f"here_{{rank}}")
if "wait" in deed or deed.startswith(("ignore", "note")):
    time.sleep(120)
if deed.startswith("kill"):
    while not all((folder / f"here_{{other}}").exists() for other in range(int(mine["TIMETRIAL_SIZE"]))):
        time.sleep(0.01)
    os.kill(os.getpid(), int(deed.split()[1]))
sys.exit(int(deed.split()[1]))
'''


class Processes(Case):
    def setUp(self):
        super().setUp()
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        shutil.copy2(BIN / "timetrial", self.bin)
        worker = self.bin / "timetrial-worker"
        worker.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
        worker.chmod(worker.stat().st_mode | stat.S_IXUSR)
        self.config = self.folder / "config.json"
        self.config.write_text(json.dumps({"workload": "gpt_oss_20b", "device.kind": "cuda"}), encoding="utf-8")

    def start(self, ranks, deeds, *more, log=False):
        environment = dict(os.environ, STAND_IN=json.dumps(deeds), STAND_IN_FOLDER=str(self.folder), STAND_IN_LOG="yes" if log else "")
        return subprocess.Popen([str(self.bin / "timetrial"), "run", str(self.config), "--ranks", str(ranks), *more], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(self, *arguments, **options):
        process = self.start(*arguments, **options)
        output, errors = process.communicate(timeout=100)
        return process.returncode, output, errors

    def here(self, ranks, process):
        for rank in range(ranks):
            deadline = time.monotonic() + 60
            while not (self.folder / f"here_{rank}").exists():
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.01)
        return [json.loads((self.folder / f"here_{rank}").read_text()) for rank in range(ranks)]

    def test_every_rank_is_told_its_place(self):
        """Without --launcher, because the config asks for GPUs."""
        process = self.start(3, {"0": "note", "1": "note", "2": "note"}, "--set", "train.seed=7")
        told = self.here(3, process)
        process.terminate()
        process.communicate(timeout=60)
        for rank, one in enumerate(told):
            self.assertEqual([one[f"TIMETRIAL_{name}"] for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")],
                             [str(rank), "3", str(rank), "3"])
            self.assertEqual(one["arguments"], [str(self.config), "--set", "train.seed=7", "--ranks", "3"])
        for name in ("TIMETRIAL_RENDEZVOUS", "TIMETRIAL_RUN_ID"):
            self.assertEqual(len({one[name] for one in told}), 1)
        self.assertRegex(told[0]["TIMETRIAL_RENDEZVOUS"], r"^127\.0\.0\.1:\d+$")
        self.assertEqual(len({one["pid"] for one in told}), 3)

    def test_rank_0_speaks_and_the_others_write_files(self):
        code, output, errors = self.ended(3, {}, log=True)
        self.assertEqual(code, 0, errors)
        self.assertEqual(output, "said by rank 0\n")
        self.assertNotIn("rank 1", errors)
        for rank in (1, 2):
            text = (self.folder / f"run/ranks/rank_{rank}.log").read_text(encoding="utf-8")
            self.assertEqual(text, f"said by rank {rank}\ntimetrial: complaint of rank {rank}\n")

    def test_what_only_another_rank_could_say_is_repeated(self):
        code, _, errors = self.ended(3, {"0": "exit 2", "1": "exit 3", "2": "exit 2"}, log=True)
        self.assertEqual(code, 2)
        self.assertIn("timetrial: complaint of rank 1\n", errors)
        self.assertNotIn("rank 2", errors)  # it ended as rank 0 did, which speaks for it
        shutil.rmtree(self.folder / "run")  # now there is no folder to keep it in
        self.assertIn("said by rank 1\n", self.ended(2, {"1": "exit 3"}, "--set", "train.seed=8")[2])

    def test_the_worst_code_counts_where_rank_0_has_none(self):
        for deeds, expected in (({"0": "exit 1", "1": "exit 1"}, 1), ({"1": "exit 3", "2": "exit 2"}, 3), ({"0": "exit 2", "1": "exit 3"}, 2)):
            self.assertEqual(self.ended(3, deeds)[0], expected, deeds)

    def test_signals_are_handed_on(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            for file in self.folder.glob("here_*"):
                file.unlink()
            process = self.start(2, {"0": "note", "1": "note"})
            told = self.here(2, process)
            self.assertNotEqual(told[0]["pgid"], os.getpgid(process.pid), "a terminal would signal ranks a second time")
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 128 + number)
            for rank in range(2):
                self.assertEqual((self.folder / f"signal_{rank}").read_text(), str(int(number)))

    def test_the_third_signal_kills(self):
        process = self.start(2, {"0": "ignore", "1": "ignore"})
        told = self.here(2, process)
        for _ in range(3):
            process.terminate()
            time.sleep(0.3)
        process.communicate(timeout=20)
        self.assertEqual(process.returncode, 143)
        for one in told:
            self.assertFalse(pathlib.Path(f"/proc/{one['pid']}").exists())

    def test_ranks_go_with_their_launcher(self):
        process = self.start(2, {"0": "note", "1": "note"})
        told = self.here(2, process)
        process.kill()
        process.communicate(timeout=60)
        deadline = time.monotonic() + 20
        while any(pathlib.Path(f"/proc/{one['pid']}").exists() for one in told):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_ranks_that_hang_after_one_failed_are_ended(self):
        """15 s of grace beyond the deadline of the config, 10 more for one that ignores SIGTERM."""
        started = time.monotonic()
        code, _, errors = self.ended(3, {"0": "wait 0", "1": "kill 9", "2": "ignore 0"}, log=True)
        seconds = time.monotonic() - started
        self.assertEqual(code, 3)
        self.assertGreater(seconds, 20)
        self.assertLess(seconds, 60)
        self.assertRegex(errors, r"timetrial: rank 1 \(pid \d+\) was ended by signal 9 \(Killed\); rank 0 ")
        self.assertIn("rank 0 ended without closing its log", errors)
        keys = [record["key"] for record in records(self.folder / "run/result_0.txt")]
        self.assertEqual(keys, ["init_start", "run_start", "block_start", "timetrial_warning", "block_stop", "run_stop"])

    def test_a_log_of_another_run_is_left_alone(self):
        (self.folder / "run").mkdir()
        log = self.folder / "run/result_0.txt"
        text = ':::MLLOG {"namespace": "", "time_ms": 1, "event_type": "INTERVAL_START", "key": "init_start", "value": null, "metadata": {}}\n'
        log.write_text(text, encoding="utf-8")
        self.assertEqual(self.ended(2, {"0": "exit 2", "1": "exit 2"})[0], 2)
        self.assertEqual(log.read_text(encoding="utf-8"), text)

    def test_a_refused_run_starts_nothing(self):
        code, output, errors = self.ended(2, {"refuse": ""})
        self.assertEqual((code, output, errors), (2, "", "timetrial: refused\n"))
        self.assertEqual(list(self.folder.glob("here_*")), [])


class Mpirun(Case):
    """The real worker: CPU ranks that talk through MPI."""

    def start(self, **changes):
        config = self.tiny_config(**{"train__micro_batch": 1, "train__max_steps": 100000, "train__warmup_steps": 1, "device__threads": 1,
                                     "evaluation__every_samples": 400000, "evaluation__samples": 4, "cluster__step_deadline": 5, **changes})
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
                           OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_rmaps_base_oversubscribe="1", TIMETRIAL_TEST_OF=self.folder.name)
        return subprocess.Popen([str(BIN / "timetrial"), "run", str(config), "--launcher", "mpirun", "--ranks", "2"], env=environment,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_the_template_of_several_seeds(self):
        """scripts/seeds-mpirun.sh as a user calls it: logs as a submission lays them out, each with a seed of its own."""
        config = self.tiny_config(train__micro_batch=1, train__max_steps=4, train__warmup_steps=1, evaluation__samples=4,
                                  evaluation__every_samples=16, device__threads=1)
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
                           PATH=f"{BIN}:{os.environ['PATH']}", TIMETRIAL_CLEAR_CACHES=f"echo cleared >> '{self.folder}/clears'")
        line = ["bash", str(SOURCE / "scripts/seeds-mpirun.sh"), str(config), "box", "2", "2", str(self.folder / "results"), "--oversubscribe"]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)  # four steps reach no target
        self.assertEqual(done.stdout.count("not reached within the step limit"), 2, done.stdout)
        logs = [self.folder / f"results/box/gpt_oss_20b/result_{i}.txt" for i in range(2)]
        self.assertEqual([values(log, "cache_clear") for log in logs], [[True], [True]])
        self.assertEqual([values(log, "timetrial_seed_drawn") for log in logs], [[True], [True]])
        self.assertNotEqual(values(logs[0], "seed"), values(logs[1], "seed"))
        self.assertEqual(values(logs[0], "timetrial_config_hash"), values(logs[1], "timetrial_config_hash"))
        self.assertEqual((self.folder / "clears").read_text(encoding="utf-8"), "cleared\ncleared\n")
        self.assertEqual(json.loads((logs[0].parent / "run_0/environment.json").read_text(encoding="utf-8"))["ranks"], 2)
        scored = run("score", logs[0].parent)
        self.assertNotIn("different", scored.stdout)
        line[5:7] = ["1", str(self.folder / "others")]
        failed = subprocess.run(line, env=dict(environment, TIMETRIAL_CLEAR_CACHES="false"), capture_output=True, text=True, check=False)
        self.assertEqual((failed.returncode, failed.stdout), (2, ""))
        self.assertIn("could not be cleared", failed.stderr)
        self.assertEqual(list((self.folder / "others").rglob("*.txt")), [])

    def pid_of_rank(self, rank):
        for entry in pathlib.Path("/proc").iterdir():
            try:
                variables = (entry / "environ").read_bytes().decode(errors="replace").split("\0") if entry.name.isdigit() else []
            except OSError:
                continue
            if f"OMPI_COMM_WORLD_RANK={rank}" in variables and f"TIMETRIAL_TEST_OF={self.folder.name}" in variables:
                return int(entry.name)
        return None

    def test_a_log_without_its_rank_is_closed(self):
        process = self.start()
        log = self.folder / "run/result_0.txt"
        wait_for(process, log, "tracked_stats")
        os.kill(self.pid_of_rank(0), signal.SIGKILL)
        _, errors = process.communicate(timeout=90)
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("is closed as aborted", errors)
        self.assertEqual((records(log)[-1]["key"], records(log)[-1]["metadata"]["status"]), ("run_stop", "aborted"))
        self.assertGreater(records(log)[-1]["metadata"]["samples_count"], 0)
        self.assertNotIn("unfinished", run("check", log).stdout)
        self.assertRegex((self.folder / "run/ranks/rank_1.log").read_text(encoding="utf-8"), r"the run is over: rank 0 on host \S+ .*ended without a word")

    def test_a_start_that_mpirun_refuses_says_so(self):
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        environment.pop("OMPI_MCA_rmaps_base_oversubscribe", None)
        config = self.tiny_config(train__micro_batch=1, train__max_steps=4, train__warmup_steps=1, evaluation__every_samples=16, device__threads=1)
        for options in (["--host", "localhost:1"], ["--hostfile", str(self.folder / "none")]):
            more = [f"--launcher-option={option}" for option in options]
            done = run("run", config, "--launcher", "mpirun", "--ranks", 2, *more, env=environment)
            self.assertEqual((done.returncode, done.stdout), (3, ""), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            for needle in ("mpirun ended with exit code 1", " mpirun -np 2 ", options[0], "--launcher-option=--oversubscribe"):
                self.assertIn(needle, done.stderr)
            self.assertFalse((self.folder / "run").exists())
        # What a rank says is enough.
        (self.folder / "run").mkdir()
        (self.folder / "run/effective_config.json").write_text("{}", encoding="utf-8")
        done = run("run", config, "--launcher", "mpirun", "--ranks", 2, env=dict(environment, OMPI_MCA_rmaps_base_oversubscribe="1"))
        self.assertIn(done.returncode, (2, 3), done.stderr)  # of the rank that ended first: rank 0, or one that heard of it
        self.assertIn("already holds a run", done.stderr)
        self.assertNotIn("mpirun ended", done.stderr)

    def test_asked_to_end_it_ends_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            shutil.rmtree(self.folder / "run", ignore_errors=True)
            process = self.start()
            log = self.folder / "run/result_0.txt"
            wait_for(process, log, "tracked_stats")
            process.send_signal(number)
            output, errors = process.communicate(timeout=90)
            self.assertEqual(process.returncode, 128 + number, errors)
            self.assertIn("interrupted after", output)
            self.assertNotIn("closed as aborted", errors)  # rank 0 did
            self.assertEqual([record["value"] for record in records(log) if record["key"] == "timetrial_warning"], [])
            self.assertEqual(records(log)[-1]["metadata"]["status"], "aborted")


class Cuda(Case):
    def test_two_gpus(self):
        config = self.tiny_config(device__kind="cuda", train__micro_batch=1, train__max_steps=4)
        done = run("run", config, "--ranks", 2)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("not reached within the step limit"), 1, done.stdout)


class Refusals(Case):
    def test_cpu_ranks_are_no_processes(self):
        done = run("run", self.tiny_config(), "--ranks", 2, "--launcher", "processes")
        self.assert_one_line_error(done, "--launcher mpirun", "threads")

    def test_a_dry_run_shows_the_line(self):
        done = run("run", self.tiny_config(), "--ranks", 2, "--launcher", "mpirun", "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("mpirun --quiet -np 2 --bind-to none", done.stdout)

    def test_a_worker_of_another_build_is_refused(self):
        places = [self.folder / name for name in ("timetrial", "timetrial-worker")]
        for place in places:
            shutil.copy2(BIN / place.name, place)
        line = [str(places[0]), "plan", str(self.tiny_config())]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        whole = places[1].read_bytes()
        found = set(re.findall(rb"timetrial build [0-9a-f]{64}", whole))
        self.assertEqual(len(found), 1, found)
        identity = found.pop()
        self.assertIn(identity, places[0].read_bytes())
        places[1].write_bytes(whole.replace(identity, b"timetrial build " + b"0" * 64))
        self.assert_one_line_error(subprocess.run(line, capture_output=True, text=True, check=False),
                                   f"{places[1]} is of another build than {places[0]}", "build both")


def missing(part):
    """Why this part cannot run here; empty when nothing is in the way."""
    if part == "Mpirun" and shutil.which("mpirun") is None:
        return "mpirun is not installed (Debian: openmpi-bin)"
    gpus = part == "Cuda" and shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return "there are no two GPUs here" if part == "Cuda" and (gpus or "").count("GPU ") < 2 else ""


if __name__ == "__main__":
    reason = missing(sys.argv[-1])
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    programs.main()
