#!/usr/bin/env python3
# Which steps of a GPU benchmark count: those in which the GPU did not report a slowdown.
# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks/gpu"))
import gpu_watch  # noqa: E402


def samples(*pairs):
    return [{"time": time, "reasons": reasons} for time, reasons in pairs]


class SplitSteps(unittest.TestCase):
    def split(self, end, seconds, *pairs):
        return gpu_watch.split_steps([{"end": end, "seconds": seconds}], samples(*pairs))

    def test_a_quiet_step_counts(self):
        self.assertEqual(self.split(10.5, 1, (9.0, 0x40), (10.0, 0), (11.0, 0x40)), ([1], 0, 0))

    def test_every_kind_of_slowdown_drops(self):
        for reason in (0x8, 0x20, 0x40, 0x80, 0x44):
            self.assertEqual(self.split(10.5, 1, (10.0, reason)), ([], 1, 0), hex(reason))

    def test_idle_and_clock_settings_are_no_slowdown(self):
        for reason in (0x1, 0x2, 0x10, 0x100):
            self.assertEqual(self.split(10.5, 1, (10.0, reason)), ([1], 0, 0), hex(reason))

    def test_the_power_cap_is_counted_and_kept(self):
        self.assertEqual(self.split(10.5, 1, (10.0, 0x4)), ([1], 0, 1))

    def test_a_step_between_two_samples_is_judged_by_both(self):
        self.assertEqual(self.split(10.5, 0.1, (10.0, 0), (11.0, 0x8)), ([], 1, 0))
        self.assertEqual(self.split(10.5, 0.1, (10.0, 0x20), (11.0, 0)), ([], 1, 0))
        self.assertEqual(self.split(10.5, 0.1, (9.0, 0x20), (10.0, 0), (11.0, 0)), ([0.1], 0, 0))


class Parse(unittest.TestCase):
    def test_a_line_of_nvidia_smi(self):
        sample = gpu_watch.parse("2026/11/22 04:00:00.500, 1980, 350.25, 60, 1234, 0x0000000000000004")
        self.assertEqual((sample["clock"], sample["power"], sample["memory_mib"], sample["reasons"]), (1980, 350.25, 1234, 4))
        self.assertEqual(sample["time"] % 1, 0.5)

    def test_what_a_chip_does_not_report_is_none(self):
        self.assertIsNone(gpu_watch.parse("2026/11/22 04:00:00.500, 1980, [N/A], 60, 1234, 0x0")["power"])

    def test_lines_that_are_no_samples(self):
        for line in ("", "No devices were found", "2026/11/22 04:00:00.500, 1980, 350, 60, 1234, [N/A]"):
            self.assertIsNone(gpu_watch.parse(line))


if __name__ == "__main__":
    unittest.main()
