# Agreement with the official checker: two tools and the ctest entry that runs them.
# SPDX-License-Identifier: Apache-2.0
set(TIMETRIAL_MLPERF_PYTHON "$ENV{TIMETRIAL_MLPERF_PYTHON}" CACHE STRING "Python that has mlperf-logging; empty: skip")

# The record-writing code of the training program, with a scripted run instead of a real one.
add_executable(write_scripted_log ${CMAKE_SOURCE_DIR}/tests/official/write_scripted_log.cpp)
target_link_libraries(write_scripted_log PRIVATE timetrial_mllog timetrial_flags)

# `timetrial check` without the rest of the program.
add_executable(check_logs ${CMAKE_SOURCE_DIR}/tests/official/check_logs.cpp ${CMAKE_SOURCE_DIR}/src/apps/check_command.cpp
               ${CMAKE_SOURCE_DIR}/src/apps/exit_code.cpp)
target_include_directories(check_logs PRIVATE ${CMAKE_SOURCE_DIR}/src)
target_link_libraries(check_logs PRIVATE timetrial_mllog CLI11::CLI11 timetrial_flags)

find_program(TIMETRIAL_ANY_PYTHON python3)
add_test(NAME official.agreement
         COMMAND ${TIMETRIAL_ANY_PYTHON} ${CMAKE_SOURCE_DIR}/tests/official/agree.py --python "${TIMETRIAL_MLPERF_PYTHON}"
                 --writer $<TARGET_FILE:write_scripted_log> --checker $<TARGET_FILE:check_logs>)
set_tests_properties(official.agreement PROPERTIES LABELS official SKIP_RETURN_CODE 77 TIMEOUT 300)
