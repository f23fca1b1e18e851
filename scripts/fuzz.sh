#!/usr/bin/env bash
# Searches for inputs that break a reader: every fuzzer of tests/fuzz for a stated time, under address and undefined-behaviour
# sanitizers. What it learns stays in build/fuzz; what breaks a reader is left there as crash-*, slow-* or oom-*.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case ${1-} in
  -h | --help) echo "usage: scripts/fuzz.sh [SECONDS_EACH (60)] [NAME...]"; exit 0 ;;
esac
seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "'$seconds' is not a number of seconds"
shift || true

need_packages "${build_packages[@]}" clang-16 libclang-rt-16-dev
build_preset fuzz fuzzers
names=("$@")
[ ${#names[@]} -gt 0 ] || for source in "$root"/tests/fuzz/*_fuzz.cpp; do names+=("$(basename "$source" _fuzz.cpp)"); done

broken=0
for name in "${names[@]}"; do
  [ -f "$root/tests/fuzz/${name}_fuzz.cpp" ] || fail "there is no fuzzer '$name' in tests/fuzz"
  mkdir -p "$root/build/fuzz/learnt/$name" "$root/build/fuzz/findings/$name"
  log="$root/build/fuzz/$name.log"
  code=0
  "$root/build/fuzz/bin/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2560 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$root/build/fuzz/findings/$name/" "$root/build/fuzz/learnt/$name" "$root/tests/fuzz/corpus/$name" >"$log" 2>&1 || code=$?
  inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [ "$code" -eq 0 ]; then
    say "fuzz $name: ${inputs:-0} inputs in $seconds s, none broke it"
  else
    say "fuzz $name: BROKEN after ${inputs:-some} inputs; log build/fuzz/$name.log, input in build/fuzz/findings/$name"
    grep -E 'ERROR|SUMMARY|terminate|what\(\)|runtime error' "$log" | head -n 5 || true
    broken=$((broken + 1))
  fi
done
[ "$broken" -eq 0 ]
