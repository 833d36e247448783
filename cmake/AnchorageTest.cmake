# anchorage_add_test(<name> [RANKS <n>...] [TORCH] [LABEL <label>] SOURCES <files...> LINKS <targets...>)
#
# A GoogleTest program. Without RANKS each of its tests is a CTest entry; with RANKS the whole program runs
# once for each rank count, under mpirun, as <name>.<n>ranks, with the main of tests/mpi. Both mains make a run
# without tests fail. The label, for ctest -L, is one word, because gtest_discover_tests loses what follows a list;
# without it "unit", and "mpi" always where there are RANKS.
#
# anchorage_add_golden(<name>)
#
# Runs tests/golden/<name>.py once a build, with <build>/golden/<name> as its argument: reference values from an
# independent implementation. Tests find them below the macro ANCHORAGE_GOLDEN.
include(GoogleTest)

function(anchorage_add_golden name)
  set(script ${CMAKE_SOURCE_DIR}/tests/golden/${name}.py)
  set(folder ${CMAKE_BINARY_DIR}/golden/${name})
  add_custom_command(OUTPUT ${folder}/made COMMENT "Making the golden values of ${name}" DEPENDS ${script}
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${folder}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${folder}
    COMMAND ${ANCHORAGE_PYTHON}/bin/python3 ${script} ${folder} > ${folder}/log 2>&1
    COMMAND ${CMAKE_COMMAND} -E touch ${folder}/made)
  add_custom_target(golden_${name} ALL DEPENDS ${folder}/made)
endfunction()

function(anchorage_add_test name)
  cmake_parse_arguments(ARG "TORCH" "LABEL" "RANKS;SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set(main anchorage_test_main)
  if(ARG_RANKS)
    set(main anchorage_mpi_test_main)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} ${main} anchorage_flags)
  target_compile_definitions(${name} PRIVATE ANCHORAGE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             ANCHORAGE_GOLDEN="${CMAKE_BINARY_DIR}/golden"
                                             ANCHORAGE_PROGRAM="${CMAKE_BINARY_DIR}/anchorage"
                                             ANCHORAGE_PYTHON="${ANCHORAGE_PYTHON}/bin/python3")
  if(ARG_TORCH)
    anchorage_use_torch(${name})
  endif()
  if(NOT ARG_RANKS)
    set(label unit)
    if(ARG_LABEL)
      set(label ${ARG_LABEL})
    endif()
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120
                         PROPERTIES LABELS ${label} TIMEOUT 600 SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
    return()
  endif()
  foreach(ranks ${ARG_RANKS})
    add_test(NAME ${name}.${ranks}ranks
             COMMAND ${MPIEXEC_EXECUTABLE} -n ${ranks} --bind-to none --oversubscribe $<TARGET_FILE:${name}>)
    set_tests_properties(${name}.${ranks}ranks PROPERTIES
      LABELS "mpi;${ARG_LABEL}" PROCESSORS ${ranks} TIMEOUT 600 SKIP_RETURN_CODE 77
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1")
  endforeach()
endfunction()
