#!/usr/bin/env bash
# Makes a relocatable folder of the CUDA build for a GPU machine that has neither build tools nor a network.
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output="$root/build/bundle" cuda_libraries=true training_data=false archive=false
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=${2:?--output wants a folder}; shift ;;
    --without-cuda-libraries) cuda_libraries=false ;;
    --with-training-data) training_data=true ;;
    --archive) archive=true ;;
    -h | --help)
      echo "usage: scripts/bundle.sh [--output FOLDER] [--without-cuda-libraries] [--with-training-data] [--archive]"
      echo "FOLDER (default build/bundle) gets timetrial, timetrial-worker, the tests that need a GPU, op_times, the libraries of this machine"
      echo "that they use, configs and a little text; FOLDER/timetrial-smoke then says on the GPU machine whether all of it works there."
      echo "--without-cuda-libraries  leaves CUDA's own (about 1 GB) out; FOLDER/timetrial looks for them where it runs"
      echo "--with-training-data      the whole training text (30 MB), for runs to the target"
      echo "--archive                 FOLDER.tar.gz beside the folder as well"
      exit 0
      ;;
    *) fail "unknown argument '$1'; see --help" ;;
  esac
  shift
done

# Programs that have tests on a device. timetrial and its worker stand beside each other, where one finds the other.
tests=(test_device test_ops test_gpt_oss_20b)
command -v nvcc >/dev/null || fail "there is no nvcc; a bundle is made where CUDA programs can be built"
need_packages "${build_packages[@]}" patchelf binutils
need_cuda_headers
if [ ! -f "$root/data/gcide/gcide-validation.idx" ]; then
  build_preset cpu timetrial
  prepare_gcide
fi
# Without MPI, whose libraries belong to the machine's own mpirun.
build_preset bundle timetrial timetrial-worker op_times test_comm_nccl "${tests[@]}"

if [ -e "$output" ]; then
  [ -f "$output/bundle.json" ] || fail "$output exists and is no bundle; name another folder"
  rm -r "$output"
fi
mkdir -p "$output"/{bin,lib,configs,data/gcide}
for program in timetrial timetrial-worker op_times test_comm_nccl "${tests[@]}"; do
  cp "$root/build/cuda-bundle/bin/$program" "$output/bin/"
done

# Every shared library that the programs name, except the C library and the driver, which belong to the machine.
is_c_library() { [[ $1 =~ ^(ld-linux.*|libc|libm|libdl|libpthread|librt|libresolv|libutil|libanl|libnsl)\.so ]]; }
is_cuda_library() { [[ $1 =~ ^lib(cudart|cublas|cublasLt|cudnn[a-z_]*|cufft|curand|cusolver|cusparse|nvrtc|nvrtc-builtins|nvJitLink|nccl)\.so ]]; }
is_driver() { [[ $1 =~ ^lib(cuda|nvidia-ml)\.so ]]; }
cuda_names=()
while read -r name path; do
  if is_c_library "$name" || is_driver "$name"; then continue; fi
  if is_cuda_library "$name"; then
    cuda_names+=("$name")
    $cuda_libraries || continue
  fi
  [ -f "$path" ] || fail "$name was not found on this machine"
  cp -L "$path" "$output/lib/$name"
  # cuDNN and NVRTC open their parts by name when they need them.
  if [[ $name == libcudnn.so* ]]; then cp -L "$(dirname "$path")"/libcudnn_*.so.* "$output/lib/"; fi
  if [[ $name == libnvrtc.so* ]]; then cp -L "$(dirname "$path")"/libnvrtc-builtins.so.* "$output/lib/"; fi
done < <(for file in "$output"/bin/*; do ldd "$file"; done | awk '$2 == "=>" {print $1, $3 == "not" ? "missing" : $3}' | sort -u)
printf '%s\n' ${cuda_names[@]+"${cuda_names[@]}"} >"$output/lib/cuda-libraries.txt"

strip --strip-unneeded "$output"/bin/* "$output"/lib/*.so*
# DT_RPATH, not DT_RUNPATH: NVRTC opens its builtins by name, and a program's RUNPATH does not hold for what its libraries open.
for file in "$output"/bin/*; do patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$file"; done
for file in "$output"/lib/*.so*; do is_cuda_library "$(basename "$file")" || patchelf --set-rpath '$ORIGIN' "$file"; done
c_library=$(objdump -T "$output"/bin/* "$output"/lib/*.so* 2>/dev/null | grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -n 1)

cp -r "$root/configs/." "$output/configs/"
cp "$root"/data/gcide/gcide-validation.* "$output/data/gcide/"
if $training_data; then cp "$root"/data/gcide/gcide-train.* "$output/data/gcide/"; fi
cp "$root/LICENSE" "$output/"
cp "$root/scripts/bundle/find_libraries.sh" "$output/lib/"
cp "$root/scripts/bundle/timetrial.sh" "$output/timetrial"
cp "$root/scripts/bundle/smoke.sh" "$output/timetrial-smoke"
chmod +x "$output/timetrial" "$output/timetrial-smoke"
commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
cat >"$output/bundle.json" <<JSON
{"commit": "$commit", "c_library": "${c_library#GLIBC_}", "machine": "$(uname -m)", "cuda_libraries": $cuda_libraries}
JSON
say "$output: $(du -sm "$output" | cut -f1) MiB, needs glibc ${c_library#GLIBC_} or later on $(uname -m); there: ./timetrial-smoke"
if $archive; then
  tar -C "$(dirname "$output")" -czf "$output.tar.gz" "$(basename "$output")"
  say "$output.tar.gz: $(du -m "$output.tar.gz" | cut -f1) MiB"
fi
