#!/usr/bin/env bash
# timetrial from a bundle: finds CUDA's libraries, then becomes the program. Works from any folder.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
bundle=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
. "$bundle/lib/find_libraries.sh"
check_c_library "$bundle"
use_cuda_libraries "$bundle"
exec "$bundle/bin/timetrial" "$@"
