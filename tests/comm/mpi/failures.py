"""Runs four ranks of the failure program under mpirun and looks at what each of them says.

SPDX-License-Identifier: Apache-2.0
"""
import subprocess
import sys

MPIRUN, PROGRAM = sys.argv[1:3]

# fault: what the ranks that are told something must say, and who they are
CASES = {
    "none": ([], []),
    "size": ([0, 1, 2, 3], ["rank 1 calls all_reduce of 9 f32 \"loss\"", "ranks 0, 2 and 3 call all_reduce of 8 f32"]),
    "skip": ([0, 1, 2, 3], ["rank 1 calls all_gather of 8 f32 \"weights\"", "all_reduce of 8 f32 \"loss\""]),
    "missing": ([0, 2, 3], ["all_reduce \"loss\" (call 2) was not done within 1 s", "rank 1 did not come",
                            "ranks 0, 2 and 3 waited", "the last call of rank 1 was all_reduce \"norm\" (call 1)"]),
    "throw": ([1], ["the data is gone"]),
}

failed = 0
for fault, (speakers, parts) in CASES.items():
    done = subprocess.run([MPIRUN, "--oversubscribe", "--bind-to", "none", "-n", "4", PROGRAM, fault],
                          capture_output=True, text=True, timeout=120, check=False)
    said = {int(line.split()[1]): line for line in done.stdout.splitlines() if line.startswith("rank ")}
    seconds = [int(line.split()[3]) for line in said.values()]
    wrong = [f"rank {rank} said nothing" for rank in speakers if rank not in said]
    wrong += [f"rank {rank} did not say '{part}': {said[rank]}"
              for rank in speakers if rank in said for part in parts if part not in said[rank]]
    if (done.returncode == 0) != (fault == "none"):
        wrong.append(f"exit code {done.returncode}")
    if seconds and max(seconds) > 20:  # the deadline is 1 s; the rest is for a machine that does other things too
        wrong.append(f"told after {max(seconds)} s")
    print(f"{fault}: {'; '.join(wrong) or 'as it must be'}")
    if wrong:
        print(done.stdout[-2000:], done.stderr[-2000:])
    failed += bool(wrong)
sys.exit(1 if failed else 0)
