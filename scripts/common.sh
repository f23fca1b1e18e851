# Shared by the scripts beside it: packages, build. Sourced, never run.
# SPDX-License-Identifier: Apache-2.0

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_packages=(g++ cmake ninja-build ccache pkg-config libspdlog-dev libfmt-dev nlohmann-json3-dev libcli11-dev libgtest-dev
  libsentencepiece-dev libdnnl-dev libxxhash-dev zlib1g-dev libboost-math-dev libopenmpi-dev openmpi-bin libasio-dev libhwloc-dev)

say() { printf '== %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# need_packages NAME...: installs the Debian packages that are not there yet, as root or through sudo.
need_packages() {
  local missing=() name as_root=()
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null || fail "these packages are missing and there is no apt-get to install them: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing; as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
         apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    fail "could not install ${missing[*]} (no network? apt-get's own words: $log); install them by hand, then run this again"
  fi
  rm -f "$log"
}

# CUTLASS's headers in .venv, unless CMake finds them elsewhere.
need_cutlass() {
  compgen -G "$root/.venv/lib/python3*/site-packages/cutlass_library/source/include" >/dev/null && return 0
  [ -n "${CUTLASS_ROOT:-}" ] || [ -d /usr/include/cutlass ] || [ -d /usr/local/include/cutlass ] && return 0
  need_packages python3-venv
  say "installing CUTLASS's headers into .venv"
  python3 -m venv "$root/.venv" >/dev/null && "$root/.venv/bin/pip" install -q --disable-pip-version-check --no-deps nvidia-cutlass==4.2.0 ||
    fail "nvidia-cutlass could not be installed (no network?); unpack CUTLASS 4.2 somewhere and set CUTLASS_ROOT"
}

# The cuDNN frontend's headers in .venv, unless CMake finds them elsewhere.
need_cudnn_frontend() {
  compgen -G "$root/.venv/lib/python3*/site-packages/include/cudnn_frontend.h" >/dev/null && return 0
  [ -n "${CudnnFrontend_ROOT:-}" ] || [ -f /usr/include/cudnn_frontend.h ] || [ -f /usr/local/include/cudnn_frontend.h ] && return 0
  need_packages python3-venv
  say "installing the cuDNN frontend's headers into .venv"
  python3 -m venv "$root/.venv" >/dev/null && "$root/.venv/bin/pip" install -q --disable-pip-version-check --no-deps nvidia-cudnn-frontend==1.32.0 ||
    fail "nvidia-cudnn-frontend could not be installed (no network?); unpack its headers somewhere and set CudnnFrontend_ROOT"
}

# Headers that the CUDA presets need besides those of CUDA and cuDNN.
need_cuda_headers() {
  need_cutlass
  need_cudnn_frontend
}

# build_preset PRESET TARGET...: configures and builds, quietly unless it fails.
build_preset() {
  local preset=$1 log
  shift
  log=$(mktemp)
  say "building preset $preset"
  if ! { cd "$root" && cmake --preset "$preset" -G Ninja && cmake --build --preset "$preset" --target "$@"; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "the build of preset $preset failed"
  fi
  rm -f "$log"
}

# The text of Debian's dict-gcide dictionary as token files in data/gcide, made once.
prepare_gcide() {
  [ -f "$root/data/gcide/gcide-train.idx" ] && [ -f "$root/data/gcide/gcide-validation.idx" ] && return 0
  need_packages dict-gcide
  # Entries begin with a heading; the first nine documents are the dictionary's own front matter.
  say "preparing data/gcide from the dictionary's text"
  mkdir -p "$root/data/gcide"
  "$root/build/cpu/bin/timetrial" data prepare /usr/share/dictd/gcide.dict.dz --output "$root/data/gcide/gcide" \
    --documents heading --skip-documents 9 --tokenizer bpe --vocabulary 2048 --validation-fraction 0.02 || fail "the data could not be prepared"
}
