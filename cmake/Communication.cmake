# Libraries that the comm layer talks through: MPI where there is one (optional, for CPU ranks in several processes), and
# NCCL in a CUDA build; the control plane speaks through asio, which is headers alone.
find_path(ASIO_INCLUDE_DIR asio.hpp)
mark_as_advanced(ASIO_INCLUDE_DIR)
if(NOT ASIO_INCLUDE_DIR)
  message(FATAL_ERROR "asio was not found. On Debian or Ubuntu: apt-get install libasio-dev.")
endif()
target_include_directories(timetrial_comm SYSTEM PRIVATE ${ASIO_INCLUDE_DIR})
target_compile_definitions(timetrial_comm PRIVATE ASIO_STANDALONE)
if(TIMETRIAL_SANITIZE MATCHES thread)
  # The thread sanitizer does not follow fences, and g++ says so where asio has them; asio's queues have mutexes besides.
  target_compile_options(timetrial_comm PRIVATE -Wno-tsan)
endif()
# They wait for the network; more optimisation of asio's templates doubles their build time and gains nothing.
set_source_files_properties(src/comm/connection.cpp src/comm/control_plane.cpp src/comm/control_server.cpp src/comm/dial.cpp src/comm/listen.cpp
                            PROPERTIES COMPILE_OPTIONS -O1)

find_package(MPI QUIET COMPONENTS CXX)
if(MPI_CXX_FOUND)
  file(GLOB mpi_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/comm/mpi/*.cpp)
  target_sources(timetrial_comm PRIVATE ${mpi_sources})
  target_link_libraries(timetrial_comm PRIVATE MPI::MPI_CXX)
else()
  message(STATUS "No MPI: CPU ranks are threads of one process. On Debian or Ubuntu: apt-get install libopenmpi-dev openmpi-bin")
endif()
target_compile_definitions(timetrial_comm PRIVATE TIMETRIAL_HAS_MPI=$<BOOL:${MPI_CXX_FOUND}>)

if(TIMETRIAL_CUDA)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} REQUIRED)
  find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} REQUIRED)
  mark_as_advanced(NCCL_INCLUDE_DIR NCCL_LIBRARY)
  add_library(nccl::nccl UNKNOWN IMPORTED)
  set_target_properties(nccl::nccl PROPERTIES IMPORTED_LOCATION ${NCCL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${NCCL_INCLUDE_DIR})
  target_link_libraries(timetrial_comm PRIVATE nccl::nccl)
endif()
