#!/usr/bin/env bash
# Several seeds in a row with mpirun, without a scheduler: one log per run, in the shape of a submission's result folder.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

help() {
  cat <<'HELP'
usage: seeds-mpirun.sh CONFIG SYSTEM RANKS [SEEDS] [FOLDER] [mpirun options...]
example: scripts/seeds-mpirun.sh configs/small/gpt_oss_20b.json laptop 2 3 results --oversubscribe

Trains CONFIG SEEDS times (10), each time with RANKS ranks and a seed that the run draws. SYSTEM names the machine in the
submission. The logs are FOLDER/SYSTEM/WORKLOAD/result_N.txt (results/...), where `timetrial score` looks; everything else that
a run leaves is in run_N beside them. mpirun options need SEEDS and FOLDER before them.

timetrial and mpirun must be in PATH, timetrial-worker beside timetrial. Before each run file caches are cleared: by the command in
TIMETRIAL_CLEAR_CACHES, which does it on every host, else by the run itself, as root.

Exit code: 0 every run reached the target, 1 a run missed it. At the first run that ends otherwise the script stops with that
run's exit code, or with 3 when the run did not start; the log of such a run stays in run_N and is no result.
HELP
}
fail() {
  echo "seeds-mpirun.sh: $*" >&2
  exit 2
}

case ${1:-} in -h | --help) help && exit 0 ;; esac
[ $# -ge 3 ] || fail "CONFIG, SYSTEM and RANKS are needed, and $# of them given; see --help"
config=$1 system=$2 ranks=$3 seeds=${4:-10} folder=${5:-results}
shift $(($# < 5 ? $# : 5))
[ -f "$config" ] || fail "$config is no file; name a config, e.g. configs/small/gpt_oss_20b.json"
for number in "$ranks" "$seeds"; do
  [[ $number =~ ^[1-9][0-9]*$ ]] || fail "RANKS and SEEDS are whole numbers above 0, and '$number' is none; see --help"
done
for program in mpirun timetrial python3; do
  command -v "$program" >/dev/null || fail "$program is not in PATH; docs/launching.md says how to install the programs"
done
workload=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["workload"])' "$config")
results=$folder/$system/$workload
for ((run = 0; run < seeds; ++run)); do
  for earlier in "$results/result_$run.txt" "$results/run_$run"; do
    [ ! -e "$earlier" ] || fail "$earlier is there already, of an earlier start: move $results away or name another FOLDER"
  done
done
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
  if [ -n "${TIMETRIAL_CLEAR_CACHES:-}" ]; then
    sh -c "$TIMETRIAL_CLEAR_CACHES" || fail "file caches could not be cleared: $TIMETRIAL_CLEAR_CACHES"
  fi
  code=0
  timetrial run "$config" --launcher mpirun --ranks "$ranks" --set train.seed=0 --set output.folder="$results/run_$run" \
    ${options[@]+"${options[@]}"} || code=$?
  log=$results/run_$run/result_0.txt
  # A launcher that cannot start its ranks may end with 1 too.
  if [ "$code" -lt 2 ] && [ ! -f "$log" ]; then
    echo "run $run did not start: it ended with exit code $code and left no $log; no more are started" >&2
    exit 3
  fi
  [ "$code" -gt "$worst" ] && worst=$code
  if [ "$code" -ge 2 ]; then
    echo "run $run ended with exit code $code and is no result; what it left, if anything, is in $results/run_$run; no more are started" >&2
    break
  fi
  cp "$log" "$results/result_$run.txt"
done
exit "$worst"
