# The CUDA side on a CPU (tests/emulation): .cu files go through translate.py and the C++ compiler, the CUDA runtime and
# cuBLASLt are those of the emulator. No CUDA toolkit is needed. docs/architecture.md says what it shows and what not.
set(TIMETRIAL_EMULATOR ${CMAKE_SOURCE_DIR}/tests/emulation)
set(TIMETRIAL_TRANSLATED ${CMAKE_BINARY_DIR}/translated)

function(timetrial_add_emulator)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  find_package(Boost QUIET COMPONENTS context)
  timetrial_require(Boost_CONTEXT libboost-context-dev)
  file(GLOB sources CONFIGURE_DEPENDS ${TIMETRIAL_EMULATOR}/emulation/*.cpp)
  add_library(timetrial_emulation STATIC ${sources})
  target_include_directories(timetrial_emulation PUBLIC ${TIMETRIAL_EMULATOR} ${TIMETRIAL_EMULATOR}/cuda)
  target_link_libraries(timetrial_emulation PUBLIC fmt::fmt Boost::context dnnl::dnnl PRIVATE timetrial_flags)
endfunction()

# timetrial_emulated_sources(LAYER OUT): what src/LAYER/cuda/ compiles to without a CUDA toolkit.
function(timetrial_emulated_sources layer out)
  set(sources)  # the caller has one of that name
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  file(GLOB plain CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${layer}/cuda/*.cpp)
  # Files whose libraries the emulator does not have are replaced by those of the same name there.
  foreach(source ${plain})
    get_filename_component(name ${source} NAME)
    if(EXISTS ${TIMETRIAL_EMULATOR}/${name})
      set(source ${TIMETRIAL_EMULATOR}/${name})
    endif()
    list(APPEND sources ${source})
  endforeach()
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${layer}/cuda/*.cu ${CMAKE_SOURCE_DIR}/src/${layer}/cuda/*.cuh)
  list(FILTER kernels EXCLUDE REGEX cutlass)
  foreach(kernel ${kernels})
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR}/src ${kernel})
    # nvcc leaves out the C++ compiler's opinion on these in device code.
    set(translated ${TIMETRIAL_TRANSLATED}/${path})
    if(kernel MATCHES "\\.cu$")
      string(APPEND translated .cpp)
      set_source_files_properties(${translated} PROPERTIES COMPILE_OPTIONS "-Wno-unknown-pragmas;-Wno-sign-compare")
    endif()
    add_custom_command(OUTPUT ${translated} COMMAND Python3::Interpreter ${TIMETRIAL_EMULATOR}/translate.py ${kernel} src/${path} ${translated}
                       DEPENDS ${kernel} ${TIMETRIAL_EMULATOR}/translate.py VERBATIM)
    list(APPEND sources ${translated})
  endforeach()
  set(${out} ${sources} PARENT_SCOPE)
endfunction()
