# Watches one GPU while something else runs on it: clocks, power, memory and why it slows down, through nvidia-smi.
# SPDX-License-Identifier: Apache-2.0
import datetime
import shutil
import subprocess
import threading

# Bits of clocks_event_reasons (NVML, nvmlClocksEventReasons). A power cap is how a chip at full load runs: counted, not dropped.
POWER_CAP = 0x4
SLOWED = 0x8 | 0x20 | 0x40 | 0x80  # hardware slowdown, software thermal, hardware thermal, power brake
FIELDS = "timestamp,clocks.sm,power.draw,temperature.gpu,memory.used,clocks_throttle_reasons.active"
PERIOD_MS = 100


def query(fields, index=0):
    """One value per field, as nvidia-smi prints it; None where there is no GPU to ask."""
    if not shutil.which("nvidia-smi"):
        return None
    answer = subprocess.run(["nvidia-smi", f"--id={index}", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
                            capture_output=True, text=True)
    return None if answer.returncode else [part.strip() for part in answer.stdout.strip().split(",")]


def parse(line):
    """A sample, or None for a line that is not one. Fields that a chip does not report are None."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != 6:
        return None

    def number(text):
        try:
            return float(text)
        except ValueError:
            return None
    try:
        time = datetime.datetime.strptime(parts[0], "%Y/%m/%d %H:%M:%S.%f").timestamp()
        reasons = int(parts[5], 16)
    except ValueError:
        return None
    return {"time": time, "clock": number(parts[1]), "power": number(parts[2]), "temperature": number(parts[3]),
            "memory_mib": number(parts[4]), "reasons": reasons}


class Watch:
    """with Watch() as watch: ...; afterwards watch.samples holds what was seen."""

    def __init__(self, index=0):
        self.index, self.samples = index, []

    def __enter__(self):
        self.process = subprocess.Popen(["nvidia-smi", f"--id={self.index}", f"--query-gpu={FIELDS}",
                                         "--format=csv,noheader,nounits", f"--loop-ms={PERIOD_MS}"], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            if sample := parse(line):
                self.samples.append(sample)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.reader.join()

    def peak_memory(self):
        """Bytes of the whole GPU in use, at most."""
        return max((s["memory_mib"] or 0 for s in self.samples), default=0) * 2**20


class NoWatch:
    """In the place of a Watch where there is no GPU."""
    samples = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def peak_memory(self):
        return 0


def split_steps(steps, samples):
    """Steps (with `end`, seconds since the epoch, and `seconds`) whose time saw no slowdown, and how many were dropped, and how
    many of the kept ones ran at the power cap. A step that no sample fell into is judged by the samples on both sides of it."""
    kept, dropped, capped = [], 0, 0
    for step in steps:
        begin, end = step["end"] - step["seconds"], step["end"]
        inside = [s for s in samples if begin <= s["time"] <= end]
        if not inside:
            before = [s for s in samples if s["time"] < begin][-1:]
            after = [s for s in samples if s["time"] > end][:1]
            inside = before + after
        if any(s["reasons"] & SLOWED for s in inside):
            dropped += 1
            continue
        kept.append(step["seconds"])
        capped += any(s["reasons"] & POWER_CAP for s in inside)
    return kept, dropped, capped
