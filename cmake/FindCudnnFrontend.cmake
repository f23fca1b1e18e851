# Finds the headers of the cuDNN frontend: CudnnFrontend_VERSION and the target CudnnFrontend::CudnnFrontend. Looks in a system path
# (CudnnFrontend_ROOT first) and in the Python wheel nvidia-cudnn-frontend, which carries them, in the project's .venv.
file(GLOB wheels ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/include)
find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend.h HINTS ${wheels} ${CUDAToolkit_INCLUDE_DIRS})
mark_as_advanced(CUDNN_FRONTEND_INCLUDE_DIR)
if(CUDNN_FRONTEND_INCLUDE_DIR)
  file(STRINGS ${CUDNN_FRONTEND_INCLUDE_DIR}/cudnn_frontend_version.h lines REGEX "#define CUDNN_FRONTEND_(MAJOR|MINOR|PATCH)_VERSION ")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
  string(REPLACE ";" "." CudnnFrontend_VERSION "${numbers}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CudnnFrontend REQUIRED_VARS CUDNN_FRONTEND_INCLUDE_DIR VERSION_VAR CudnnFrontend_VERSION)
if(CudnnFrontend_FOUND AND NOT TARGET CudnnFrontend::CudnnFrontend)
  # Without its JSON form of graphs, which nothing here uses, the headers are lighter. They call NVRTC for engines of their own.
  add_library(CudnnFrontend::CudnnFrontend INTERFACE IMPORTED)
  set_target_properties(CudnnFrontend::CudnnFrontend PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${CUDNN_FRONTEND_INCLUDE_DIR}
                        INTERFACE_COMPILE_DEFINITIONS CUDNN_FRONTEND_SKIP_JSON_LIB
                        INTERFACE_LINK_LIBRARIES "CUDNN::cudnn;CUDA::cudart;CUDA::nvrtc")
endif()
