# CUTLASS's headers: from CUTLASS_ROOT, the system, or the wheel nvidia-cutlass in a virtual environment. Sets Cutlass_FOUND
# and the target Cutlass::headers.
file(GLOB cutlass_wheels ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/cutlass_library/source)
find_path(CUTLASS_INCLUDE_DIR cutlass/gemm/device/gemm_universal_adapter.h HINTS ${CUTLASS_ROOT} ENV CUTLASS_ROOT ${cutlass_wheels}
          PATH_SUFFIXES include)
find_path(CUTLASS_UTIL_INCLUDE_DIR cutlass/util/packed_stride.hpp HINTS ${CUTLASS_ROOT} ENV CUTLASS_ROOT ${cutlass_wheels} ${CUTLASS_INCLUDE_DIR}/..
          PATH_SUFFIXES tools/util/include include)
mark_as_advanced(CUTLASS_INCLUDE_DIR CUTLASS_UTIL_INCLUDE_DIR)
if(CUTLASS_INCLUDE_DIR)
  file(STRINGS ${CUTLASS_INCLUDE_DIR}/cutlass/version.h cutlass_lines REGEX "define CUTLASS_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9]*([0-9]+)[^0-9]*([0-9]+)[^0-9]*([0-9]+).*" "\\1.\\2.\\3" Cutlass_VERSION "${cutlass_lines}")
endif()
find_package_handle_standard_args(Cutlass REQUIRED_VARS CUTLASS_INCLUDE_DIR CUTLASS_UTIL_INCLUDE_DIR VERSION_VAR Cutlass_VERSION)
if(Cutlass_FOUND AND NOT TARGET Cutlass::headers)
  add_library(Cutlass::headers INTERFACE IMPORTED)
  target_include_directories(Cutlass::headers SYSTEM INTERFACE ${CUTLASS_INCLUDE_DIR} ${CUTLASS_UTIL_INCLUDE_DIR})
endif()
