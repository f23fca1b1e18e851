"""Bad input, one row per kind: one line on stderr that says what is wrong, exit code 2, and no file made, changed or removed.

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import typing

import programs
from programs import BIN, Case, records, run, values, wait_for


def snapshot(folder):
    """Every path below with its kind, times of change aside."""
    state = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            state[path] = "folder"
    return state


def index_of(lengths, code=8, version=1):
    """The bytes of a .idx of documents of these lengths."""
    item = {1: 1, 4: 4, 8: 2}.get(code, 2)
    begins = [sum(lengths[:i]) * item for i in range(len(lengths))]
    return (b"MMIDIDX\0\0" + struct.pack("<QBQQ", version, code, len(lengths), len(lengths) + 1) +
            struct.pack(f"<{len(lengths)}i", *lengths) + struct.pack(f"<{len(lengths)}q", *begins) +
            struct.pack(f"<{len(lengths) + 1}q", *range(len(lengths) + 1)))


def spoil(name, how):
    """A change of a file of the folder: its new bytes, or a function of the old ones."""
    def change(folder):
        path = folder / name
        path.write_bytes(how(path.read_bytes()) if callable(how) else how)
    return change


def documents(lengths, split="train"):
    """Replaces a split by documents of these lengths, all zeros."""
    def change(folder):
        (folder / f"tiny-{split}.idx").write_bytes(index_of(lengths))
        (folder / f"tiny-{split}.bin").write_bytes(b"\0\0" * sum(lengths))
    return change


def remove(name):
    return lambda folder: (folder / name).unlink()


def make(name, content=b"x"):
    def change(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return change


def replace_field(offset, form, value):
    def change(data):
        changed = bytearray(data)
        struct.pack_into(form, changed, offset, value)
        return bytes(changed)
    return change


class Row(typing.NamedTuple):
    """A run of the tiny config with `changes`, after `spoil`; the line must hold every needle."""
    needles: tuple
    changes: dict = {}
    arguments: tuple = ()
    spoil: typing.Callable = None
    text: bytes = None  # the whole config file instead
    command: tuple = ("run", "{config}")
    environment: dict = {}


def setting(text):
    return ("--set", text)


DEEP = b"[" * 200000
ROWS = {
    # The config file.
    "unknown key": Row(("/train/sede", "train.seed"), {"train.sede": 7}),
    "unknown key on the command line": Row(("/train/sede", "train.seed"), arguments=setting("train.sede=7")),
    "key in the wrong section": Row(("/seed", "train.seed"), {"seed": 7}),
    "key given twice": Row(("/workload", "twice"), text=b'{"workload": "a", "workload": "b"}'),
    "key overridden twice": Row(("/train/seed", "twice"), arguments=setting("train.seed=1") + setting("train.seed=2")),
    "override without a value": Row(("train.seed", "KEY=VALUE"), arguments=setting("train.seed")),
    "wrong type": Row(("/train/max_steps", "many"), {"train.max_steps": "many"}),
    "a half where a whole number belongs": Row(("/train/max_steps", "20.5"), {"train.max_steps": 20.5}),
    "a list where a number belongs": Row(("/train/max_steps", "[[["), arguments=setting("train.max_steps=" + "[" * 20000)),
    "missing config": Row(("nowhere.json",), command=("run", "{folder}/nowhere.json")),
    "config is a folder": Row(("is a folder", "name the JSON file"), command=("run", "{folder}")),
    "config is empty": Row(("not valid JSON", "line 1"), text=b""),
    "config is not JSON": Row(("tiny.json", "line 2, column 2"), text=b'{"workload": "gpt_oss_20b",\n oops}'),
    "config is no object": Row(("object",), text=b"[1, 2]"),
    "config is not UTF-8": Row(("tiny.json", "not valid JSON"), text=b'{"workload": "\xfc"}'),
    "config is nested too deep": Row(("nested", "200"), text=DEEP),
    "a number no double holds": Row(("1e999",), text=b'{"train.learning_rate": 1e999}'),
    "a number no double holds, overridden": Row(("/train/learning_rate", "1e999"), arguments=setting("train.learning_rate=1e999")),
    "unknown workload": Row(("/workload", "gpt_oss_20b"), {"workload": "gpt_oss_20"}),
    "unknown variant": Row(("/variant", "smal", "small"), {"variant": "smal"}),
    "unknown form": Row(("/form", "published"), {"form": "publishd"}),
    "path in the config with a line break": Row(("/output/folder", "control character"), {"output.folder": "a\nb"}),
    # Values.
    "below its range": Row(("/train/seed", "-1", "0"), {"train.seed": -1}),
    "above its range": Row(("/train/seed", "4294967296", "4294967295"), {"train.seed": 4294967296}),
    "threads above their range": Row(("/device/threads", "5000", "4096"), {"device.threads": 5000}),
    "target of 0": Row(("/evaluation/target", "0"), {"evaluation.target": 0}),
    "beta of 1": Row(("/train/beta_2", "1", "use 0 to below 1"), {"train.beta_2": 1.0}),
    "micro batch does not divide": Row(("/train/global_batch", "8", "3", "train.micro_batch=2"), {"train.micro_batch": 3}),
    "heads do not divide": Row(("/model/", "8", "3"), {"model.kv_heads": 3}),
    "warm-up as long as the run": Row(("/train/decay_steps", "0", "train.warmup_steps"), {"train.warmup_steps": 20}),
    "more than one rank": Row(("/parallel/pp", "dp alone"), {"parallel.pp": 2}),
    "more ranks started than planned": Row(("8", "1 rank"), environment={"RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0"}),
    "launcher's variable is no number": Row(("WORLD_SIZE", "many"), environment={"RANK": "0", "WORLD_SIZE": "many"}),
    "CUDA is not there": Row(("/device/kind",), {"device.kind": "cuda"}),
    "more memory than there is": Row(("GB", "smaller variant"), {"model.layers": 100, "model.hidden": 8192, "model.ffn": 65536}),
    "target unreachable by the step limit": Row(("/train/max_steps", "4 steps", "at least 5"), {"train.max_steps": 4, "train.warmup_steps": 1}),
    # Data of a run.
    "missing .idx": Row(("nothing.idx",), {"data.train": "{folder}/nothing"}),
    "missing .bin": Row(("tiny-train.bin",), spoil=remove("tiny-train.bin")),
    "missing validation": Row(("tiny-validation.idx",), spoil=remove("tiny-validation.idx")),
    ".bin shorter than its index says": Row(("tiny-train.bin", "1000"), spoil=spoil("tiny-train.bin", lambda b: b[:1000])),
    ".bin longer than its index says": Row(("tiny-train.bin",), spoil=spoil("tiny-train.bin", lambda b: b + b"\0\0")),
    ".idx cut in its header": Row(("tiny-train.idx", "20", "34"), spoil=spoil("tiny-train.idx", lambda b: b[:20])),
    ".idx cut in its body": Row(("tiny-train.idx", "500"), spoil=spoil("tiny-train.idx", lambda b: b[:500])),
    ".idx is empty": Row(("tiny-train.idx", "0 bytes"), spoil=spoil("tiny-train.idx", b"")),
    ".idx is foreign": Row(("tiny-train.idx", "MMIDIDX"), spoil=spoil("tiny-train.idx", b"PK\x03\x04" * 100)),
    ".idx of another version": Row(("tiny-train.idx", "version 2"), spoil=spoil("tiny-train.idx", replace_field(9, "<Q", 2))),
    ".idx of floats": Row(("tiny-train.idx", "code 7", "f32"), spoil=spoil("tiny-train.idx", replace_field(17, "<B", 7))),
    ".idx with a wild count": Row(("tiny-train.idx", str(2**62)), spoil=spoil("tiny-train.idx", replace_field(18, "<Q", 2**62))),
    ".idx with a negative length": Row(("tiny-train.idx", "-5"), spoil=spoil("tiny-train.idx", replace_field(34, "<i", -5))),
    ".idx is a folder": Row(("folder.idx", "regular"), {"data.train": "{folder}/folder"}, spoil=make("folder.idx/x")),
    "zero documents": Row(("tiny-train.idx", "no documents"), spoil=documents([])),
    "zero tokens": Row(("tiny-train.idx", "0 tokens"), spoil=documents([0, 0, 0])),
    "a sequence longer than the corpus": Row(("tiny-train.idx", "100", "129"), spoil=documents([40, 60])),
    "validation too small": Row(("tiny-validation.idx", "2 samples", "8"), spoil=documents([150, 150], "validation")),
    # Where the run goes.
    "folder holds a run": Row(("/output/folder", "already holds a run"), spoil=make("run/result_0.txt")),
    "folder holds a run's config": Row(("/output/folder", "already holds a run"), spoil=make("run/effective_config.json")),
    "folder is a file": Row(("/output/folder", "Not a directory"), {"output.folder": "{folder}/file/run"}, spoil=make("file")),
    "folder cannot be made": Row(("/output/folder", "cannot be made"), {"output.folder": "/proc/none/run"}),
    # The other commands.
    "no text to prepare": Row(("none.txt",), command=("data", "prepare", "{folder}/none.txt", "-o", "{folder}/x")),
    "prepared already": Row(("exists already",), command=("data", "prepare", "{folder}/corpus.txt", "-o", "{folder}/tiny",
                                                          "--tokenizer", "bytes", "--validation-fraction", "0.1")),
    "text without a word": Row(("no document", "0 read"), spoil=make("empty.txt", b"\n\n"),
                               command=("data", "prepare", "{folder}/empty.txt", "-o", "{folder}/x", "--tokenizer", "bytes")),
    "compressed text cut short": Row(("cut.gz", "truncated"), spoil=make("cut.gz", gzip.compress(b"some words\n" * 99, mtime=0)[:-9]),
                                     command=("data", "prepare", "{folder}/cut.gz", "-o", "{folder}/x", "--tokenizer", "bytes")),
    "JSON line without text": Row(("a.jsonl:1", "text"), spoil=make("a.jsonl", b'{"words": "x"}\n'),
                                  command=("data", "prepare", "{folder}/a.jsonl", "-o", "{folder}/x", "--tokenizer", "bytes")),
    "JSON line with a wild number": Row(("a.jsonl:1", "too large"), spoil=make("a.jsonl", b'{"text": "x", "n": 1e999}\n'),
                                        command=("data", "prepare", "{folder}/a.jsonl", "-o", "{folder}/x", "--tokenizer", "bytes")),
    "tokenizer that is no model": Row(("no SentencePiece model",), command=("data", "prepare", "{folder}/corpus.txt", "-o", "{folder}/x",
                                                                            "--tokenizer", "{folder}/corpus.txt")),
    "unknown tokenizer": Row(("bpee", "bpe"), command=("data", "prepare", "{folder}/corpus.txt", "-o", "{folder}/x", "--tokenizer", "bpee")),
    "ids for bytes": Row(("--vocabulary", "--tokenizer bytes", "leave it out"),
                         command=("data", "prepare", "{folder}/corpus.txt", "-o", "{folder}/x", "--tokenizer", "bytes", "--vocabulary", "100")),
    "training text for a finished tokenizer": Row(("--train-bytes", "leave it out"),
                                                  command=("data", "prepare", "{folder}/corpus.txt", "-o", "{folder}/x",
                                                           "--tokenizer", "{folder}/corpus.txt", "--train-bytes", "1MB")),
    "nothing to inspect": Row(("nowhere.idx",), command=("data", "inspect", "{folder}/nowhere")),
    "a log that is not there": Row(("nowhere.txt",), command=("check", "{folder}/nowhere.txt")),
    "a log that is a folder": Row(("folder",), command=("check", "{folder}")),
    "a log that is binary": Row(("binary",), command=("check", "{folder}/tiny-train.bin")),
    # The command line.
    "no command": Row(("subcommand",), command=()),
    "unknown command": Row(('"rnu"', 'did you mean "run"?', "see timetrial --help"), command=("rnu",)),
    "unknown command of a command": Row(('"lst" is no command of timetrial results', "see timetrial results --help"), command=("results", "lst")),
    "unknown option of a command": Row(("--nosuch", "see timetrial check --help"), command=("check", "x.txt", "--nosuch")),
    "run without a config": Row(("CONFIG",), command=("run",)),
    "unknown option": Row(("--fast",), arguments=("--fast",)),
    "path with a line break": Row(("no where.json",), command=("run", "{folder}/no\nwhere.json")),
}


class BadInput(Case):
    def test_every_row(self):
        template = self.folder / "template"
        template.mkdir()
        corpus, self.folder = self.folder, template
        self.tiny_config()
        for name, row in ROWS.items():
            with self.subTest(name):
                self.folder = corpus / "a folder with ü"
                shutil.copytree(template, self.folder)
                try:
                    self.refused(row)
                finally:
                    shutil.rmtree(self.folder)

    def refused(self, row):
        here = str(self.folder)
        config = json.loads((self.folder / "tiny.json").read_text(encoding="utf-8"))
        for key in ("data.train", "data.validation", "output.folder"):
            config[key] = config[key].replace(str(self.folder.parent / "template"), here)
        config.update({key: value.replace("{folder}", here) if isinstance(value, str) else value for key, value in row.changes.items()})
        path = self.folder / "tiny.json"
        path.write_bytes(json.dumps(config).encode() if row.text is None else row.text)
        if row.spoil:
            row.spoil(self.folder)
        line = [part.format(folder=here, config=path) for part in row.command] + list(row.arguments)
        before = snapshot(self.folder)
        done = run(*line, env={**os.environ, **row.environment}, timeout=60)
        self.assertEqual(snapshot(self.folder), before, "a refused command changed files")
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        said = done.stdout + done.stderr  # `check` judges on stdout
        self.assertEqual(len(said.strip("\n").split("\n")), 1, said)
        for needle in row.needles:
            self.assertIn(needle, said)

    def as_ordinary_user(self):
        """What makes `run` run with an ordinary user's rights, who may enter and change the test's folder."""
        if os.geteuid() != 0:
            return {}
        self.folder.chmod(0o777)
        return {"user": 65534}

    def refused_without_rights(self, needle, *line):
        options = self.as_ordinary_user()
        before = snapshot(self.folder)
        try:
            done = run(*line, **options)
        except PermissionError:
            self.skipTest("an ordinary user cannot reach the programs")
        self.assert_one_line_error(done, *needle)
        self.assertEqual(snapshot(self.folder), before)

    def test_output_folder_not_writable(self):
        closed = self.folder / "closed"
        closed.mkdir()
        closed.chmod(0o555)
        for folder in (closed, closed / "run"):  # one that is there, and one that cannot be made
            config = self.tiny_config(output__folder=str(folder))
            self.refused_without_rights(("/output/folder", "Permission denied"), "run", config)

    def test_prepared_files_not_writable(self):
        self.tiny_config()
        closed = self.folder / "closed"
        closed.mkdir()
        closed.chmod(0o555)
        self.refused_without_rights(("closed", "Permission denied"), "data", "prepare", self.folder / "corpus.txt",
                                    "--output", closed / "x", "--tokenizer", "bytes")

    def test_config_not_readable(self):
        config = self.tiny_config()
        config.chmod(0)
        self.refused_without_rights(("tiny.json", "Permission denied"), "run", config)

    def test_caches_that_cannot_be_dropped_leave_nothing_behind(self):
        self.refused_without_rights(("--clear-caches", "root"), "run", self.tiny_config(), "--clear-caches")

    def test_a_second_run_into_the_same_folder(self):
        config = self.tiny_config()
        self.assertEqual(run("run", config).returncode, 1)
        before = snapshot(self.folder)
        self.assert_one_line_error(run("run", config), "already holds a run")
        self.assertEqual(snapshot(self.folder), before)

    def test_token_beyond_the_vocabulary_names_file_and_position(self):
        config = self.tiny_config(model__vocabulary=100)
        done = run("run", config)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr.strip().splitlines()[-1], r"tiny-(train|validation)\.bin: token id \d+ at token position \d+")
        self.assertEqual(self.status(), "aborted")

    def status(self):
        stops = [record for record in records(self.folder / "run" / "result_0.txt") if record["key"] == "run_stop"]
        self.assertEqual(len(stops), 1)
        return stops[0]["metadata"]["status"]


class Oddities(Case):
    """Input that is odd and right: it works, and says so where that is due."""

    def test_more_threads_than_cores_is_a_warning_also_in_the_log(self):
        cores = len(os.sched_getaffinity(0))
        done = run("run", self.tiny_config(device__threads=cores + 1, train__max_steps=5))
        self.assertEqual(done.returncode, 1, done.stderr)
        wanted = f"device.threads is {cores + 1}, but there are {cores} cores"
        self.assertIn("warning: " + wanted, done.stderr)
        warnings = values(self.folder / "run" / "result_0.txt", "timetrial_warning")
        self.assertEqual(len(warnings), 1)
        self.assertIn(wanted, warnings[0])

    def test_as_many_threads_as_cores_is_none(self):
        done = run("run", self.tiny_config(device__threads=len(os.sched_getaffinity(0)), train__max_steps=5))
        self.assertNotIn("warning", done.stderr)
        self.assertEqual(values(self.folder / "run" / "result_0.txt", "timetrial_warning"), [])

    def threads_of(self, count):
        folder = self.folder / f"threads{count}"
        config = self.tiny_config(train__max_steps=100000, evaluation__every_samples=400000, device__threads=count,
                                  output__folder=str(folder))
        process = subprocess.Popen([str(BIN / "timetrial"), "run", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        log = folder / "result_0.txt"
        try:
            wait_for(process, log, "tracked_stats")
            return len(os.listdir(f"/proc/{process.pid}/task"))
        finally:
            process.kill()
            process.wait()

    def test_threads_are_as_many_as_asked_for(self):
        self.assertEqual(self.threads_of(4) - self.threads_of(1), 3)

    def shape_of(self, log):
        """A log without what differs from run to run: times and the seconds of steps."""
        lines = []
        for line in pathlib.Path(log).read_text(encoding="utf-8").splitlines():
            record = json.loads(line[len(programs.TOKEN):])
            record["time_ms"] = type(record["time_ms"]).__name__
            if record["key"] == "tracked_stats":
                record["value"]["train_step_time"] = type(record["value"]["train_step_time"]).__name__
            lines.append(json.dumps(record))
        return lines

    def outcome(self, environment):
        """Everything a run with this environment prints and logs, without times."""
        whole = self.folder
        self.folder = whole / "same place"
        self.folder.mkdir()
        try:
            environment = {**os.environ, **environment}
            config = self.tiny_config(train__learning_rate=0.003)
            plan = run("plan", config, env=environment)
            self.assertEqual(plan.returncode, 0, plan.stderr)
            done = run("run", config, env=environment)
            self.assertEqual(done.returncode, 1, done.stderr)
            log = self.folder / "run" / "result_0.txt"
            checked = run("check", log, env=environment)
            inspected = run("data", "inspect", self.folder / "tiny-train", "--verify", env=environment)
            prepared = run("data", "prepare", self.folder / "corpus.txt", "-o", self.folder / "again", "--vocabulary", "300", env=environment)
            self.assertEqual(prepared.returncode, 0, prepared.stderr)
            return [plan.stdout, self.shape_of(log), checked.stdout, inspected.stdout,
                    hashlib.sha256((self.folder / "again.model").read_bytes()).hexdigest()]
        finally:
            shutil.rmtree(self.folder)
            self.folder = whole

    def test_locale_and_time_zone_change_nothing(self):
        plain = self.outcome({"LC_ALL": "C", "TZ": "UTC"})
        self.assertEqual(self.outcome({"LC_ALL": "C", "TZ": "Pacific/Kiritimati"}), plain)
        self.assertEqual(self.outcome({"LC_ALL": "xx_YY.nothing", "LANG": "\u00fc", "TZ": ":/nowhere/at all"}), plain)
        if shutil.which("localedef") is None or not pathlib.Path("/usr/share/i18n/locales/de_DE").exists():
            self.skipTest("time zones and unknown locales passed; the package locales is not installed, so no German or Turkish one")
        for name in ("de_DE", "tr_TR"):  # decimal commas; an i whose capital is another letter
            made = subprocess.run(["localedef", "-i", name, "-f", "UTF-8", str(self.folder / f"{name}.UTF-8")], check=False, capture_output=True)
            self.assertTrue((self.folder / f"{name}.UTF-8" / "LC_NUMERIC").exists(), made.stderr)
            environment = {"LOCPATH": str(self.folder), "LC_ALL": f"{name}.UTF-8", "LANG": f"{name}.UTF-8"}
            self.assertEqual(self.outcome(environment), plain, name)


class RulesBroken(Case):
    def test_target_reached_with_a_rule_broken_is_exit_code_1(self):
        config = self.tiny_config(evaluation__target=20.0, evaluation__every_samples=800, train__max_steps=200)
        self.assertEqual(run("run", config, "--set", f"output.folder={self.folder / 'whole'}").returncode, 0)
        process = subprocess.Popen([str(BIN / "timetrial"), "run", str(config)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        log = self.folder / "run" / "result_0.txt"
        wait_for(process, log, "init_start")
        with open(log, "a", encoding="utf-8") as file:  # something else writes into the log: one record that is none
            file.write(programs.TOKEN + '{"key": "seed", "value"\n')
        output, errors = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 1, output + errors)
        self.assertIn("target 20.00 reached", output)
        self.assertIn("rules: fail, 1 broken", output)


if __name__ == "__main__":
    programs.main()
