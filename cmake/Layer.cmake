# timetrial_add_layer(NAME DEPENDS lower... LIBRARIES external...): one static library from src/NAME/, its CPU sources and,
# when CUDA is on, its .cu sources. timetrial_embed turns a data file into a string the program carries with it.
add_library(timetrial_flags INTERFACE)
target_compile_options(timetrial_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Werror -fno-math-errno -fno-trapping-math>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror -Werror=all-warnings --expt-relaxed-constexpr -lineinfo>)
# g++ 12 sees overlaps in std::string operator+ that are not there (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(timetrial_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
# Clang compiles the fuzzers alone; its opinions on style that g++ has none on fail no build.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(timetrial_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-error>)
endif()
target_compile_definitions(timetrial_flags INTERFACE TIMETRIAL_HAS_CUDA=$<OR:$<BOOL:${TIMETRIAL_CUDA}>,$<BOOL:${TIMETRIAL_EMULATION}>>)
if(TIMETRIAL_SANITIZE)
  target_compile_options(timetrial_flags INTERFACE -fsanitize=${TIMETRIAL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(timetrial_flags INTERFACE -fsanitize=${TIMETRIAL_SANITIZE})
  target_compile_definitions(timetrial_flags INTERFACE TIMETRIAL_SANITIZED=1)
  # g++ 12 takes members of std::function inside std::regex for uninitialised when it instruments them.
  target_compile_options(timetrial_flags INTERFACE -Wno-maybe-uninitialized)
endif()

# Registers that spill to local memory fail the build of a .cu file. Files that may spill are listed here by their path
# from the root, each with its reason in a comment.
set(TIMETRIAL_MAY_SPILL)

function(timetrial_refuse_spills)
  foreach(source ${ARGN})
    file(RELATIVE_PATH path ${CMAKE_SOURCE_DIR} ${source})
    if(source MATCHES "\\.cu$" AND NOT path IN_LIST TIMETRIAL_MAY_SPILL)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -Xptxas=--warn-on-spills,--warning-as-error)
    endif()
  endforeach()
endfunction()

function(timetrial_add_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp ${CMAKE_SOURCE_DIR}/src/${name}/cpu/*.cpp)
  if(TIMETRIAL_CUDA)
    file(GLOB cuda_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/cuda/*.cu ${CMAKE_SOURCE_DIR}/src/${name}/cuda/*.cpp)
    list(APPEND sources ${cuda_sources})
    timetrial_refuse_spills(${cuda_sources})
  elseif(TIMETRIAL_EMULATION)
    timetrial_emulated_sources(${name} cuda_sources)
    list(APPEND sources ${cuda_sources})
  endif()
  add_library(timetrial_${name} STATIC ${sources})
  target_include_directories(timetrial_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include PRIVATE ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM ARG_DEPENDS PREPEND timetrial_)
  target_link_libraries(timetrial_${name} PUBLIC ${ARG_DEPENDS} ${ARG_LIBRARIES} PRIVATE timetrial_flags)
  if(TIMETRIAL_CUDA AND cuda_sources)
    target_link_libraries(timetrial_${name} PUBLIC CUDA::cudart CUDA::cublasLt)
  elseif(cuda_sources)
    target_include_directories(timetrial_${name} BEFORE PRIVATE ${TIMETRIAL_TRANSLATED})
    target_link_libraries(timetrial_${name} PUBLIC timetrial_emulation)
  endif()
endfunction()

# timetrial_embed(TARGET FILE SYMBOL): SYMBOL is a `const std::string_view` in namespace timetrial::embedded.
function(timetrial_embed target file symbol)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} content)
  set(output ${CMAKE_BINARY_DIR}/embedded/${symbol}.cpp)
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"// Made by CMake from @file@.
#include <string_view>
namespace timetrial::embedded {
extern const std::string_view @symbol@;
const std::string_view @symbol@ = R\"embedded(@content@)embedded\";
}  // namespace timetrial::embedded
")
  target_sources(${target} PRIVATE ${output})
endfunction()

# timetrial_add_workload(NAME): library from workloads/NAME/, which carries its benchmark.json.
function(timetrial_add_workload name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/workloads/${name}/*.cpp)
  add_library(timetrial_${name} STATIC ${sources})
  target_include_directories(timetrial_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(timetrial_${name} PUBLIC timetrial_train PRIVATE timetrial_flags)
endfunction()
