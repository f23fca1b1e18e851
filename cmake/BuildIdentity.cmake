# timetrial_build_identity: an object that names the sources a program was built from, so that one of the two programs
# can tell that the other is of another build. One small file is compiled anew when a source has changed, and no other.
# As a script (cmake -DLIST= -DROOT= -DOUTPUT= -P) it makes that file.
if(CMAKE_SCRIPT_MODE_FILE)
  cmake_minimum_required(VERSION 3.25)
  file(STRINGS ${LIST} sources)
  set(digests "")
  foreach(source ${sources})
    file(SHA256 ${ROOT}/${source} digest)
    string(APPEND digests "${digest} ${source}\n")
  endforeach()
  string(SHA256 identity "${digests}")
  # Written only where it is another than before, so that nothing is linked again for a file that was merely touched.
  file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"// Made by CMake: the digest of all sources. launch/build_identity.cpp reads it from the program's file.
// SPDX-License-Identifier: Apache-2.0
extern const char timetrial_build_identity[];
[[gnu::used, gnu::section(\"timetrial_build\")]] const char timetrial_build_identity[] = \"timetrial build @identity@\";
")
  return()
endif()

file(GLOB_RECURSE identity_sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}
  ${CMAKE_SOURCE_DIR}/src/*.cpp ${CMAKE_SOURCE_DIR}/src/*.h ${CMAKE_SOURCE_DIR}/src/*.cu ${CMAKE_SOURCE_DIR}/src/*.cuh
  ${CMAKE_SOURCE_DIR}/src/*.json ${CMAKE_SOURCE_DIR}/include/*.h ${CMAKE_SOURCE_DIR}/workloads/*.cpp
  ${CMAKE_SOURCE_DIR}/workloads/*.h ${CMAKE_SOURCE_DIR}/workloads/*.json)
list(SORT identity_sources)
list(JOIN identity_sources "\n" identity_lines)
set(identity_list ${CMAKE_BINARY_DIR}/identity/sources.txt)
set(identity_file ${CMAKE_BINARY_DIR}/identity/build_identity.cpp)
file(CONFIGURE OUTPUT ${identity_list} CONTENT "${identity_lines}\n" @ONLY)
list(TRANSFORM identity_sources PREPEND ${CMAKE_SOURCE_DIR}/ OUTPUT_VARIABLE identity_inputs)
add_custom_command(
  OUTPUT ${identity_file}
  COMMAND ${CMAKE_COMMAND} -DLIST=${identity_list} -DROOT=${CMAKE_SOURCE_DIR} -DOUTPUT=${identity_file} -P ${CMAKE_CURRENT_LIST_FILE}
  DEPENDS ${identity_inputs} ${identity_list} ${CMAKE_CURRENT_LIST_FILE}
  COMMENT "Naming the build" VERBATIM)
add_library(timetrial_build_identity OBJECT ${identity_file})
target_link_libraries(timetrial_build_identity PRIVATE timetrial_flags)
