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
      echo "usage: scripts/test.sh [--all]   --all adds the sanitizer builds"
      exit 0
      ;;
    *) fail "unknown argument '$argument'; there is --all" ;;
  esac
done

need_packages "${build_packages[@]}" dict-gcide python3 python3-venv
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
  local preset=$1 junit counts
  shift
  junit="$root/build/$preset/junit.xml"
  say "tests of preset $preset"
  ctest --test-dir "$root/build/$preset" --output-on-failure --output-junit "$junit" -j2 "$@" >"$root/build/$preset/ctest.log" 2>&1 || true
  grep -E '\*\*\*(Failed|Timeout|Exception|Not Run)' "$root/build/$preset/ctest.log" | sort -u || true
  counts=$(python3 - "$junit" <<'PY'
import sys
import xml.etree.ElementTree as tree
cases = tree.parse(sys.argv[1]).getroot().iter("testcase")
count = {"run": 0, "fail": 0, "skip": 0}
for case in cases:
    skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
    count["skip" if skipped else "fail" if case.get("status") == "fail" or case.find("failure") is not None else "run"] += 1
print(count["run"], count["fail"], count["skip"])
PY
  )
  read -r p f s <<<"$counts"
  [ "$((p + f))" -gt 0 ] || fail "no test of preset $preset ran; see build/$preset/ctest.log"
  printf '   %s: %d passed, %d failed, %d skipped\n' "$preset" "$p" "$f" "$s"
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

run_tests cpu
if command -v nvcc >/dev/null; then
  # Compiles and links the CUDA side; its device tests run where there is a GPU and are skipped elsewhere.
  build_preset cuda test_ops timetrial-worker
  run_tests cuda -L ops
else
  say "no nvcc: the CUDA preset is not built"
fi
if $all; then
  build_preset asan all
  run_tests asan -LE end_to_end
fi
if [ "$failed" -gt 0 ]; then
  for log in "$root"/build/*/Testing/Temporary/LastTestsFailed.log; do [ -f "$log" ] && sed 's/^/   failed: /' "$log"; done
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
