#!/usr/bin/env bash
# Several seeds in a row with mpirun, without a scheduler: one log per run, in the shape of a submission's result folder.
# SPDX-License-Identifier: Apache-2.0
#
#   scripts/seeds-mpirun.sh CONFIG SYSTEM RANKS [SEEDS] [FOLDER] [mpirun options...]
#   scripts/seeds-mpirun.sh configs/small/gpt_oss_20b.json laptop 2 3 results --hostfile hosts
#
# SEEDS runs (10), each with a seed it draws, leave FOLDER/SYSTEM/WORKLOAD/result_N.txt. Before each of them file caches
# are cleared: by TIMETRIAL_CLEAR_CACHES, a command that does it on every host, else by the run itself, as root.
set -euo pipefail

usage="usage: seeds-mpirun.sh CONFIG SYSTEM RANKS [SEEDS] [FOLDER] [mpirun options...]"
config=${1:?$usage} system=${2:?$usage} ranks=${3:?$usage} seeds=${4:-10} folder=${5:-results}
shift $(($# < 5 ? $# : 5))
for program in mpirun timetrial python3; do
  command -v "$program" >/dev/null || { echo "$program is not in PATH" >&2; exit 2; }
done
workload=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["workload"])' "$config")
results=$folder/$system/$workload
mkdir -p "$results"

options=()
for option in "$@"; do options+=("--launcher-option=$option"); done
if [ -n "${TIMETRIAL_CLEAR_CACHES:-}" ]; then
  options+=(--caches-cleared) # for the log: the script ends where the command fails
elif [ "$(id -u)" -eq 0 ]; then
  options+=(--clear-caches)
else
  echo "file caches are not cleared: run as root, or give a command in TIMETRIAL_CLEAR_CACHES" >&2
fi

worst=0
for ((run = 0; run < seeds; ++run)); do
  log=$results/result_$run.txt
  [ -e "$log" ] && { echo "$log is there already" >&2; exit 2; }
  if [ -n "${TIMETRIAL_CLEAR_CACHES:-}" ]; then
    sh -c "$TIMETRIAL_CLEAR_CACHES" || { echo "file caches could not be cleared: $TIMETRIAL_CLEAR_CACHES" >&2; exit 2; }
  fi
  code=0
  timetrial run "$config" --launcher mpirun --ranks "$ranks" --set train.seed=0 --set output.folder="$results/run_$run" \
    ${options[@]+"${options[@]}"} || code=$?
  [ -f "$results/run_$run/result_0.txt" ] && cp "$results/run_$run/result_0.txt" "$log"
  [ "$code" -gt "$worst" ] && worst=$code
  [ "$code" -ge 2 ] && { echo "run $run ended with exit code $code; no more are started" >&2; break; }
done
exit "$worst"
