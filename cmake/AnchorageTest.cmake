# anchorage_add_test(<name> [RANKS <n>...] [SHARDS <n>] [COST <seconds>] [TORCH] [LABEL <label>]
#                    SOURCES <files...> LINKS <targets...>)
#
# A GoogleTest program as one CTest entry, <name>; with SHARDS as so many, <name>.1of2 and <name>.2of2, each with its
# part of the tests, so that a long program fills several cores. With RANKS the whole program runs once for each rank
# count, under mpirun, as <name>.<n>ranks, with the main of tests/mpi. A test that crashes ends its program: its name
# is in the last line "[ RUN      ]" of the output.
#
# Both mains make a run without tests fail, list the tests that were skipped with their reasons, and exit with 77 when
# all of them were (tests/support/test_outcome.hpp). COST is what one entry takes, where that is more than some
# seconds: CTest starts the longest first. The label, for ctest -L, is "unit" if none is given, and "mpi" always where
# there are RANKS.
#
# anchorage_add_golden(<name>)
#
# Runs tests/golden/<name>.py once a build, with <build>/golden/<name> as its argument: reference values from an
# independent implementation. Tests find them below golden_path() (tests/support/places.hpp).
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

# Tests are compiled with little optimization, whatever the libraries are compiled with: what takes time is in there.
add_library(anchorage_test_flags INTERFACE)
target_link_libraries(anchorage_test_flags INTERFACE anchorage_flags)
target_compile_options(anchorage_test_flags INTERFACE $<$<CONFIG:Release>:-O1>)

function(anchorage_add_test name)
  cmake_parse_arguments(ARG "TORCH" "LABEL;SHARDS;COST" "RANKS;SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set(main anchorage_test_main)
  if(ARG_RANKS)
    set(main anchorage_mpi_test_main)
  endif()
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} ${main} anchorage_test_places anchorage_test_flags)
  if(ARG_TORCH)
    anchorage_use_torch(${name})
  else()
    target_precompile_headers(${name} REUSE_FROM anchorage_test_header)
    target_compile_options(${name} PRIVATE -fpch-preprocess -fPIC)
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)  # as the header is compiled
  endif()
  set(labels unit)
  if(ARG_RANKS)
    set(labels mpi)
  endif()
  if(ARG_LABEL AND ARG_RANKS)
    list(APPEND labels ${ARG_LABEL})
  elseif(ARG_LABEL)
    set(labels ${ARG_LABEL})
  endif()
  if(NOT ARG_COST)
    set(ARG_COST 1)
  endif()
  set(properties TIMEOUT 1200 SKIP_RETURN_CODE 77 COST ${ARG_COST})

  foreach(ranks ${ARG_RANKS})
    add_test(NAME ${name}.${ranks}ranks
             COMMAND env --ignore-signal=PIPE ${MPIEXEC_EXECUTABLE} -n ${ranks} --bind-to none --oversubscribe
                     $<TARGET_FILE:${name}>)
    # However many ranks, they wait for each other and for deadlines: two take 8 s of processor time in 56.
    set_tests_properties(${name}.${ranks}ranks PROPERTIES LABELS "${labels}" ${properties}
      ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMP_NUM_THREADS=1")
  endforeach()
  if(ARG_RANKS)
    return()
  endif()
  set(environment)
  if(ARG_TORCH)
    set(environment OMP_NUM_THREADS=1)  # as many entries as cores run at a time
  endif()
  if(NOT ARG_SHARDS)
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS "${labels}" ${properties} ENVIRONMENT "${environment}")
    return()
  endif()
  foreach(shard RANGE 1 ${ARG_SHARDS})
    math(EXPR index "${shard} - 1")
    set(shard_environment GTEST_TOTAL_SHARDS=${ARG_SHARDS} GTEST_SHARD_INDEX=${index} ${environment})
    add_test(NAME ${name}.${shard}of${ARG_SHARDS} COMMAND ${name})
    set_tests_properties(${name}.${shard}of${ARG_SHARDS} PROPERTIES LABELS "${labels}" ${properties}
      ENVIRONMENT "${shard_environment}")
  endforeach()
endfunction()
