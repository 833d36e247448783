# anchorage_add_test(<name> [RANKS <n>...] [TORCH] [LABELS <label>...] SOURCES <files...> LINKS <targets...>)
#
# A GoogleTest program. Without RANKS each of its tests is a CTest entry; with RANKS the whole program runs
# once for each rank count, under mpirun, as <name>.<n>ranks. tests/main.cpp makes a run without tests fail.
include(GoogleTest)

function(anchorage_add_test name)
  cmake_parse_arguments(ARG "TORCH" "" "RANKS;SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} anchorage_test_main anchorage_flags)
  target_compile_definitions(${name} PRIVATE ANCHORAGE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             ANCHORAGE_PROGRAM="${CMAKE_BINARY_DIR}/anchorage"
                                             ANCHORAGE_PYTHON="${ANCHORAGE_PYTHON}/bin/python3")
  if(ARG_TORCH)
    anchorage_use_torch(${name})
  endif()
  if(NOT ARG_RANKS)
    gtest_discover_tests(${name} DISCOVERY_TIMEOUT 120
                         PROPERTIES LABELS "unit;${ARG_LABELS}" TIMEOUT 600 SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
    return()
  endif()
  foreach(ranks ${ARG_RANKS})
    add_test(NAME ${name}.${ranks}ranks
             COMMAND ${MPIEXEC_EXECUTABLE} -n ${ranks} --bind-to none --oversubscribe $<TARGET_FILE:${name}>)
    set_tests_properties(${name}.${ranks}ranks PROPERTIES
      LABELS "mpi;${ARG_LABELS}" PROCESSORS ${ranks} TIMEOUT 600
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1")
  endforeach()
endfunction()
