#!/usr/bin/env bash
# From a clean clone to a trained model and a checked log: installs what is missing, builds, prepares data, trains.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

workload=${1:-gpt_oss_20b}
config="$root/configs/small/$workload.json"
case $workload in
  -h | --help)
    echo "usage: scripts/quickstart.sh [WORKLOAD]   trains the small variant of WORKLOAD (default gpt_oss_20b) on this machine's CPU"
    exit 0
    ;;
esac
[ -f "$config" ] || fail "there is no small variant of '$workload'; there is: $(cd "$root/configs/small" && ls ./*.json | sed 's|^\./||; s|\.json$||' | tr '\n' ' ')"

need_packages "${build_packages[@]}" dict-gcide
build_preset cpu timetrial timetrial-worker
prepare_gcide
cd "$root"
exec build/cpu/bin/timetrial run "configs/small/$workload.json" \
  --set "output.folder=runs/$workload-small/$(date +%Y%m%d-%H%M%S)-$$"
