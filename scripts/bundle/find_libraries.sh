# Sourced by the programs of a bundle: says where CUDA's libraries are when the bundle does not carry them.
# SPDX-License-Identifier: Apache-2.0

bundle_fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# Folders where CUDA's libraries may lie on this machine, best first.
cuda_folders() {
  local python
  tr ':' '\n' <<<"${LD_LIBRARY_PATH:-}"
  printf '%s\n' /usr/local/cuda/lib64 /usr/local/cuda/targets/*/lib /usr/local/cuda-*/lib64 /usr/lib/*-linux-gnu /usr/lib64
  if python=$(command -v python3); then
    "$python" -c 'import glob, site, sys
for folder in dict.fromkeys(site.getsitepackages() + [site.getusersitepackages()] + sys.path):
    print(*glob.glob(folder + "/nvidia/*/lib"), sep="\n")' 2>/dev/null || true
  fi
}

# use_cuda_libraries BUNDLE: puts what lib/cuda-libraries.txt names and the bundle lacks on LD_LIBRARY_PATH, or fails with
# the names of what is missing.
use_cuda_libraries() {
  local bundle=$1 name folder folders found add="" missing=()
  mapfile -t folders < <(cuda_folders | awk 'NF')
  while read -r name; do
    [ -n "$name" ] && [ ! -e "$bundle/lib/$name" ] || continue
    found=""
    for folder in "${folders[@]}"; do
      [ -e "$folder/$name" ] && found=$folder && break
    done
    if [ -z "$found" ]; then
      missing+=("$name")
    elif [[ ":$add:" != *":$found:"* ]]; then
      add="${add:+$add:}$found"
    fi
  done <"$bundle/lib/cuda-libraries.txt"
  if [ ${#missing[@]} -gt 0 ]; then
    bundle_fail "not found on this machine: ${missing[*]}; install CUDA, or name their folder in LD_LIBRARY_PATH," \
      "or make the bundle without --without-cuda-libraries (looked in LD_LIBRARY_PATH, /usr/local/cuda, the system, python3's nvidia packages)"
  fi
  # The system's own folders stay last: they would put the machine's libstdc++ before the bundle's.
  if [ -n "$add" ]; then export LD_LIBRARY_PATH="$bundle/lib:$add${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"; fi
}

# check_c_library BUNDLE: the programs start with no older C library than the one they were linked with names.
check_c_library() {
  local needs has
  needs=$(sed -n 's/.*"c_library": "\([0-9.]*\)".*/\1/p' "$1/bundle.json")
  has=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{print $2}')
  [ -n "$has" ] || bundle_fail "this machine has no glibc; the bundle needs $needs or later"
  [ "$(printf '%s\n' "$needs" "$has" | sort -V | head -n 1)" = "$needs" ] ||
    bundle_fail "this machine has glibc $has; the bundle needs $needs or later: make it on an older system"
}
