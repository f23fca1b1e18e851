#!/usr/bin/env bash
# Several seeds in a row with mpirun, without a scheduler: one log per run, in the shape of a submission's result folder.
# SPDX-License-Identifier: Apache-2.0
#
#   scripts/seeds-mpirun.sh CONFIG SYSTEM RANKS [SEEDS] [FOLDER] [mpirun options...]
#   scripts/seeds-mpirun.sh configs/small/gpt_oss_20b.json laptop 2 3 results --hostfile hosts
#
# SEEDS runs (10) leave FOLDER/SYSTEM/WORKLOAD/result_N.txt. As root the file caches of this host are cleared before
# each run; on other hosts set TIMETRIAL_CLEAR_CACHES to a command that clears them everywhere.
set -euo pipefail

usage="usage: seeds-mpirun.sh CONFIG SYSTEM RANKS [SEEDS] [FOLDER] [mpirun options...]"
config=${1:?$usage} system=${2:?$usage} ranks=${3:?$usage} seeds=${4:-10} folder=${5:-results}
shift $(($# < 5 ? $# : 5))
for program in mpirun timetrial-worker python3; do
  command -v "$program" >/dev/null || { echo "$program is not in PATH" >&2; exit 2; }
done
workload=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["workload"])' "$config")
results=$folder/$system/$workload
mkdir -p "$results"

options=()
if [ -z "${TIMETRIAL_CLEAR_CACHES:-}" ]; then
  if [ "$(id -u)" -eq 0 ]; then options+=(--clear-caches); else echo "file caches are not cleared: run as root" >&2; fi
fi

worst=0
for ((run = 0; run < seeds; ++run)); do
  log=$results/result_$run.txt
  [ -e "$log" ] && { echo "$log is there already" >&2; exit 2; }
  [ -z "${TIMETRIAL_CLEAR_CACHES:-}" ] || sh -c "$TIMETRIAL_CLEAR_CACHES"
  code=0
  mpirun -np "$ranks" --bind-to none "$@" \
    timetrial-worker "$config" --ranks "$ranks" --set output.folder="$results/run_$run" ${options[@]+"${options[@]}"} || code=$?
  [ -f "$results/run_$run/result_0.txt" ] && cp "$results/run_$run/result_0.txt" "$log"
  [ "$code" -gt "$worst" ] && worst=$code
  [ "$code" -ge 2 ] && { echo "run $run ended with exit code $code; no more are started" >&2; break; }
done
exit "$worst"
