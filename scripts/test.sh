#!/usr/bin/env bash
# Builds and runs every test through ctest and prints how many passed, failed and were skipped.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

all=false
for argument in "$@"; do
  case $argument in
    --all) all=true ;;
    -h | --help)
      echo "usage: scripts/test.sh [--all]"
      cat <<'HELP'
--all adds what takes long; all but the CPU engine's facts and broken backwards took 73 minutes on two cores:
  kernels compiled for every architecture
  the suite under address and undefined-behaviour sanitizers, the threaded parts under the thread sanitizer
  TIMETRIAL_FUZZ_SECONDS (default 60) of fuzzing per reader
  kernels and whole models on the emulated CUDA device, and kernels broken on purpose there
  the CPU engine's facts, and its speed beside PyTorch's where TIMETRIAL_TORCH_PYTHON names a Python with torch
  backwards broken on purpose: does the small run notice, do the op's own tests?
  100 kills at random moments; 50 endings of each kind that scripts/test.sh tries three times (killed, stopped, throwing,
  out of memory, skipping, another size); the others are tried once in any case
HELP
      exit 0
      ;;
    *) fail "unknown argument '$argument'; there is --all" ;;
  esac
done

need_packages "${build_packages[@]}" dict-gcide locales python3 python3-venv slurm-wlm munge
build_preset cpu all
prepare_gcide

# The official MLPerf checker, for the agreement tests. Without network they are skipped, which the counts show.
official="$root/.venv/bin/python"
if ! { [ -x "$official" ] && "$official" -c 'import mlperf_logging, pandas' 2>/dev/null; }; then
  say "installing the official checker into .venv"
  python3 -m venv "$root/.venv" >/dev/null && "$root/.venv/bin/pip" install -q --disable-pip-version-check \
    mlperf-logging==4.1.68 pyyaml numpy scipy pandas || say "the official checker could not be installed (no network?): its tests are skipped"
fi
[ -x "$official" ] && export TIMETRIAL_MLPERF_PYTHON="$official"

# run_tests PRESET [ctest arguments]: counts go to the totals.
passed=0 failed=0 skipped=0
run_tests() {
  local preset=$1 junit counts started=$SECONDS
  shift
  junit="$root/build/$preset/junit.xml"
  say "tests of preset $preset"
  ctest --test-dir "$root/build/$preset" --output-on-failure --test-output-size-passed 65536 --output-junit "$junit" -j2 "$@" >"$root/build/$preset/ctest.log" 2>&1 || true
  grep -E '\*\*\*(Failed|Timeout|Exception|Not Run)' "$root/build/$preset/ctest.log" | sort -u || true
  counts=$(python3 - "$junit" <<'PY'
import re
import sys
import xml.etree.ElementTree as tree
cases = tree.parse(sys.argv[1]).getroot().iter("testcase")
count = {"run": 0, "fail": 0, "skip": 0}
for case in cases:
    # Cases of a Python test that skipped themselves, of which its exit code says nothing.
    for name, reason in re.findall(r"^(\w+) \([\w.]+\)(?:\n.*)? \.\.\. skipped '(.*)'$", case.findtext("system-out") or "", re.M):
        count["skip"] += 1
        print(f"   skipped within {case.get('name')}: {name}: {reason}", file=sys.stderr)
    # A test that skipped itself says so. One whose program is missing is "notrun" too, and that is a failure.
    reason = case.find("skipped").get("message", "") if case.find("skipped") is not None else ""
    skipped = reason.startswith(("SKIP_REGULAR_EXPRESSION", "SKIP_RETURN_CODE"))
    count["skip" if skipped else "run" if case.get("status") == "run" else "fail"] += 1
print(count["run"], count["fail"], count["skip"])
PY
  )
  read -r p f s <<<"$counts"
  [ "$((p + f))" -gt 0 ] || fail "no test of preset $preset ran; see build/$preset/ctest.log"
  printf '   %s: %d passed, %d failed, %d skipped in %d s\n' "$preset" "$p" "$f" "$s" $((SECONDS - started))
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# Programs with cases that need a CUDA device, and the names of those cases.
emulated_tests=(test_ops test_device test_comm test_parallel test_ranks test_apps test_gpt_oss_20b test_llama31_405b test_deepseekv3_671b)
emulated_cases='[/_]cuda'

run_tests cpu
if command -v nvcc >/dev/null; then
  # Compiles and links the CUDA side; its device tests run where there is a GPU and are skipped elsewhere.
  # Registers that spill fail this build (cmake/Layer.cmake).
  need_cuda_headers
  build_preset cuda test_ops test_gpt_oss_20b test_comm_nccl timetrial-worker
  run_tests cuda -L ops
  run_tests cuda -L '^(comm|gpt_oss_20b)$' -R '^CommNccl|DeviceSteps'
else
  say "no nvcc: the CUDA preset is not built"
fi
# The CUDA kernels and their host side on a CPU. Counted as a preset of its own: none of it is a GPU.
need_packages libboost-context-dev
build_preset emulation test_ops test_device test_comm
TIMETRIAL_REQUIRE_CUDA=1 run_tests emulation -L '^(ops|device|comm)$' -R "$emulated_cases"
if $all; then
  # Blackwell too: compiled, never run here.
  if command -v nvcc >/dev/null; then build_preset cuda-all timetrial_ops; fi

  # Everything but the runs that train to the target: there the sanitizers would see the same code for an hour.
  build_preset asan all
  UBSAN_OPTIONS=print_stacktrace=1 run_tests asan -LE '^training$'

  # The parts with threads of our own: prefetch and encoding, log writer, progress, signals, control plane, ranks as threads, whole
  # runs, folders of logs read side by side. OpenMP's library is not built for this sanitizer, which then takes its barriers for none;
  # so the runs have one thread per rank here. Neither is MPI's, whose suites are left out.
  build_preset tsan test_data test_mllog test_train test_comm test_parallel test_results write_scripted_log timetrial timetrial-worker
  OMP_NUM_THREADS=1 TIMETRIAL_TEST_THREADS=1 TIMETRIAL_KILLS=3 TSAN_OPTIONS=halt_on_error=1 \
    run_tests tsan -L '^(data|mllog|train|threads|comm|parallel|results)$' -E '^CommMpi'

  say "fuzzing, ${TIMETRIAL_FUZZ_SECONDS:-60} s per reader"
  "$root/scripts/fuzz.sh" "${TIMETRIAL_FUZZ_SECONDS:-60}" || failed=$((failed + 1))

  build_preset emulation-asan test_ops test_device
  UBSAN_OPTIONS=print_stacktrace=1 TIMETRIAL_REQUIRE_CUDA=1 run_tests emulation-asan -L '^(ops|device)$' -R "$emulated_cases"

  # Whole models on the emulated device.
  build_preset emulation "${emulated_tests[@]}"
  TIMETRIAL_REQUIRE_CUDA=1 run_tests emulation -LE '^(ops|device|comm)$' -R "$emulated_cases"

  # The engine's figures, for whether they can be had; their worth is that of a quiet machine (docs/results).
  say "facts of the CPU engine (build/cpu/engine_facts.md)"
  python3 "$root/benchmarks/cpu/engine_facts.py" --rounds 1 --shapes 1m,small --output "$root/build/cpu/engine_facts.md" >/dev/null || failed=$((failed + 1))
  if [ -n "${TIMETRIAL_TORCH_PYTHON-}" ]; then
    "$TIMETRIAL_TORCH_PYTHON" "$root/benchmarks/cpu/train_vs_pytorch.py" --shapes 1m --rounds 1 || failed=$((failed + 1))
  else
    say "comparison with PyTorch: skipped, TIMETRIAL_TORCH_PYTHON names no Python with torch" && skipped=$((skipped + 1))
  fi

  # Endings mostly wait for deadlines, so kernels and backwards are broken beside them.
  say "broken kernels and broken backwards, beside the kills and endings (build/emulation/broken_kernels.log, build/cpu/broken_backward.log)"
  nice python3 "$root/tests/emulation/broken_kernels.py" >"$root/build/emulation/broken_kernels.log" 2>&1 &
  broken_kernels=$!
  nice python3 "$root/tests/end_to_end/broken_backward.py" --seeds 1 --jobs 1 >"$root/build/cpu/broken_backward.log" 2>&1 &
  broken_backward=$!
  TIMETRIAL_KILLS=100 run_tests cpu -R '^EndToEnd.KillAtRandom$'
  TIMETRIAL_ENDINGS=50 run_tests cpu -R '^EndToEnd.Endings'
  wait "$broken_kernels" || failed=$((failed + 1))
  printf '   broken kernels: %s\n' "$(tail -n 1 "$root/build/emulation/broken_kernels.log")"
  wait "$broken_backward" || failed=$((failed + 1))
  printf '   broken backwards: %s\n' "$(tail -n 1 "$root/build/cpu/broken_backward.log")"
fi
if [ "$failed" -gt 0 ]; then
  for log in "$root"/build/*/Testing/Temporary/LastTestsFailed.log; do [ -f "$log" ] && sed 's/^/   failed: /' "$log"; done
fi
printf '%d passed, %d failed, %d skipped in %d min\n' "$passed" "$failed" "$skipped" $((SECONDS / 60))
[ "$failed" -eq 0 ]
