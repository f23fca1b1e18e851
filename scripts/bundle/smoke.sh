#!/usr/bin/env bash
# Whether a bundle works on this GPU machine: parity tests, memory checker, ten training steps. One line says pass or fail.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
bundle=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
. "$bundle/lib/find_libraries.sh"

results="smoke-$(date -u +%Y%m%d-%H%M%S)" sanitizer_seconds=900
while [ $# -gt 0 ]; do
  case $1 in
    --results) results=${2:?--results wants a folder}; shift ;;
    --sanitizer-seconds) sanitizer_seconds=${2:?--sanitizer-seconds wants a number}; shift ;;
    -h | --help)
      echo "usage: timetrial-smoke [--results FOLDER] [--sanitizer-seconds N]"
      echo "Runs the tests that need a GPU, the same under compute-sanitizer where there is one (at most N seconds, default 900; 0: not"
      echo "at all), and ten training steps on the GPU in fp32 and bf16 against the CPU. Exit code: 0 pass, 1 fail, 2 it could not begin."
      exit 0
      ;;
    *) bundle_fail "unknown argument '$1'; see --help" ;;
  esac
  shift
done

check_c_library "$bundle"
use_cuda_libraries "$bundle"
device_line=$("$bundle/bin/test_device" --gtest_filter='*cuda*' 2>/dev/null | grep -m 1 'no CUDA device' || true)
[ -z "$device_line" ] || bundle_fail "no CUDA device on this machine (does nvidia-smi list one?); nothing was run"
[ ! -e "$results" ] || bundle_fail "$results exists; name another folder"
mkdir -p "$results"
results=$(cd "$results" && pwd)
export TIMETRIAL_REQUIRE_CUDA=1
cp "$bundle/bundle.json" "$results/"
nvidia-smi -q >"$results/nvidia-smi.txt" 2>&1 || echo "nvidia-smi did not run" >>"$results/nvidia-smi.txt"

failures=() notes=()

# test_filter PROGRAM: what of it runs on a device.
test_filter() { if [ "$1" = test_gpt_oss_20b ]; then echo '*DeviceSteps*cuda*'; else echo '*cuda*'; fi; }

# Tests that ran and passed, from a gtest log.
passed_tests() { sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$1" | tail -n 1; }

ran=0
for program in test_device test_ops test_gpt_oss_20b; do
  log="$results/$program.log"
  if "$bundle/bin/$program" --gtest_filter="$(test_filter "$program")" --gtest_output="json:$results/$program.json" >"$log" 2>&1 &&
    [ "$(passed_tests "$log")" -gt 0 ]; then
    ran=$((ran + $(passed_tests "$log")))
  else
    failures+=("$program ($(grep -c "^\[  FAILED  \].*ms)$" "$log" || true) tests, see $program.log)")
  fi
done

# nccl_suite RANKS: the communicator suite on so many processes, each a host of its own to NCCL, so that they may share a GPU.
nccl_suite() {
  local rank code=0 pids=() port=$((20000 + RANDOM % 20000))
  for ((rank = 0; rank < $1; ++rank)); do
    RANK=$rank WORLD_SIZE=$1 LOCAL_RANK=$rank LOCAL_WORLD_SIZE=$1 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port NCCL_HOSTID=rank$rank NCCL_SOCKET_IFNAME=lo \
      timeout 300 "$bundle/bin/test_comm_nccl" >"$results/nccl-$1-rank$rank.log" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || code=1; done
  return "$code"
}
for ranks in 1 2 4; do
  if nccl_suite "$ranks"; then
    ran=$((ran + $(passed_tests "$results/nccl-$ranks-rank0.log")))
  else
    failures+=("NCCL with $ranks ranks (see nccl-$ranks-rank*.log)")
  fi
done

if [ "$sanitizer_seconds" -eq 0 ]; then
  notes+=("compute-sanitizer not asked for")
elif ! sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null); then
  notes+=("no compute-sanitizer here")
else
  # Failed calls of the API are no finding: libraries try what a machine may not have, and go on.
  for program in test_ops test_gpt_oss_20b; do
    log="$results/$program.memcheck.log" code=0
    timeout "$sanitizer_seconds" "$sanitizer" --tool memcheck --report-api-errors no --error-exitcode 9 "$bundle/bin/$program" \
      --gtest_filter="$(test_filter "$program")" >"$log" 2>&1 || code=$?
    case $code in
      0) notes+=("memcheck of $program clean") ;;
      124) notes+=("memcheck of $program stopped after $sanitizer_seconds s, nothing found until then") ;;
      *) failures+=("memcheck of $program (exit code $code, see $program.memcheck.log)") ;;
    esac
  done
fi

# ten_steps NAME KIND DTYPE: losses of ten steps, one a line, in NAME.losses.
ten_steps() {
  local name=$1 text="$bundle/data/gcide/gcide-validation"
  local code=0
  "$bundle/bin/timetrial" run "$bundle/configs/small/gpt_oss_20b.json" --metrics "$results/$name.metrics.json" \
    --set data.train="$text" --set data.validation="$text" --set train.max_steps=10 --set train.warmup_steps=2 --set train.seed=1 \
    --set evaluation.every_samples=320 --set evaluation.samples=32 --set device.kind="$2" --set device.dtype="$3" \
    --set output.folder="$results/$name" >"$results/$name.log" 2>&1 || code=$?
  # 1: ten steps do not reach the target.
  [ "$code" -le 1 ] || return "$code"
  sed -n 's/.*"loss":\([-0-9.e+]*\).*/\1/p' "$results/$name.metrics.json" >"$results/$name.losses"
  [ "$(wc -l <"$results/$name.losses")" -eq 10 ]
}

# within RELATIVE NAME: every loss of NAME as near to the CPU's; prints the largest relative difference.
within() {
  paste "$results/cpu_f32.losses" "$results/$2.losses" | awk -v most="$1" '
    NF != 2 || $1 + 0 != $1 || $2 + 0 != $2 {bad = 1}
    {d = ($2 - $1) / $1; if (d < 0) d = -d; if (!(d <= worst)) worst = d}
    END {printf "%.1e", worst; exit bad || NR != 10 || !(worst <= most)}'
}

# Ten steps of the CPU engine in fp32 and in bf16 differ by 1.5e-3; fp32 against fp32 only in the order of sums.
if ten_steps cpu_f32 cpu f32; then
  for dtype in f32 bf16; do
    if [ "$dtype" = f32 ]; then limit=1e-3; else limit=1e-2; fi
    if ! ten_steps "cuda_$dtype" cuda "$dtype"; then
      failures+=("ten steps in $dtype did not run: $(tail -n 1 "$results/cuda_$dtype.log")")
    elif worst=$(within "$limit" "cuda_$dtype"); then
      notes+=("ten steps in $dtype within $worst of the CPU")
    else
      failures+=("ten steps in $dtype are off by $worst, allowed $limit")
    fi
  done
else
  failures+=("ten steps on the CPU did not run: $(tail -n 1 "$results/cpu_f32.log")")
fi

# On Hopper cuDNN computes attention in bf16; where the log says that our own kernels did, it was not found, or refused.
own_kernels_on_hopper() {
  grep -rh '"timetrial_device"' "$results/cuda_bf16" | grep -q '"compute_capability": *"9\.0"' || return 1
  grep -rhm 1 '"timetrial_library".*own kernels' "$results/cuda_bf16"
}
if [ -d "$results/cuda_bf16" ] && line=$(own_kernels_on_hopper); then
  failures+=("attention in bf16 is not cuDNN's: $(sed 's/.*own kernels (\([^)]*\)).*/\1/' <<<"$line")")
fi

# Joined by semicolons.
list() { local IFS=';'; sed 's/;/; /g' <<<"$*"; }
if [ ${#failures[@]} -gt 0 ]; then verdict=FAIL; else verdict=PASS; fi
line="$verdict: $ran tests passed${failures[0]+; failed: $(list "${failures[@]}")}; $(list ${notes[@]+"${notes[@]}"}); results in $results"
echo "$line" | tee "$results/verdict.txt"
[ "$verdict" = PASS ]
