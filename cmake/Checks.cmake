# The checks of the source text as CTest entries, so that one command runs everything and one exit code says.
# clang-tidy is that of PyPI (launch/install/requirements.txt): it knows GCC 12's headers, and looks at no system header.

set(anchorage_python3 ${ANCHORAGE_PYTHON}/bin/python3)
add_test(NAME check.arrows COMMAND ${anchorage_python3} ${CMAKE_SOURCE_DIR}/cmake/check_arrows.py)
add_test(NAME check.arrows.finds_violations
         COMMAND ${anchorage_python3} ${CMAKE_SOURCE_DIR}/tests/unit/checks/check_arrows_test.py)
set_tests_properties(check.arrows check.arrows.finds_violations PROPERTIES LABELS check)

find_program(ANCHORAGE_CLANG_FORMAT clang-format)
find_program(ANCHORAGE_TIDY clang-tidy PATHS ${ANCHORAGE_PYTHON}/bin NO_DEFAULT_PATH)
if(ANCHORAGE_CLANG_FORMAT)
  set(find_sources "find io sharding worker coordinator launch tests '(' -name '*.[ch]pp' -o -name '*.cu' -o -name '*.cuh' ')' -print0")
  add_test(NAME check.format
           COMMAND sh -c "${find_sources} | xargs -0 '${ANCHORAGE_CLANG_FORMAT}' --dry-run --Werror"
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(check.format PROPERTIES LABELS check)
else()
  message(STATUS "No clang-format: the test check.format is left out")
endif()
if(ANCHORAGE_TIDY)
  set(check_tidy ${anchorage_python3} ${CMAKE_SOURCE_DIR}/cmake/check_tidy.py ${ANCHORAGE_TIDY} ${CMAKE_BINARY_DIR})
  add_test(NAME check.tidy COMMAND ${check_tidy})
  add_test(NAME check.tidy.torch COMMAND ${check_tidy} --torch)
  # Resource lock: the second looks at what the first has not passed, too.
  set_tests_properties(check.tidy check.tidy.torch PROPERTIES PROCESSORS 2 RESOURCE_LOCK tidy)
  set_tests_properties(check.tidy PROPERTIES LABELS check TIMEOUT 1500 COST 90)
  set_tests_properties(check.tidy.torch PROPERTIES LABELS "check;nightly" TIMEOUT 5400 COST 300 DEPENDS check.tidy)
else()
  message(STATUS "No clang-tidy in ${ANCHORAGE_PYTHON}/bin: the tests check.tidy and check.tidy.torch are left out")
endif()

# The documents: where their links and paths lead, how long their lines are, and the words of all texts.
foreach(check links words)
  add_test(NAME check.${check} COMMAND ${anchorage_python3} ${CMAKE_SOURCE_DIR}/cmake/check_${check}.py)
  add_test(NAME check.${check}.finds_violations
           COMMAND ${anchorage_python3} ${CMAKE_SOURCE_DIR}/tests/unit/checks/check_${check}_test.py)
  set_tests_properties(check.${check} check.${check}.finds_violations PROPERTIES LABELS check)
endforeach()

# What the service is documented to be: its interface as a valid OpenAPI document, and a dashboard over metrics that there
# are. The same tests hold the program to both (tests/process).
add_test(NAME check.openapi COMMAND ${anchorage_python3} ${CMAKE_SOURCE_DIR}/tests/process/service_openapi_test.py
                                    ${CMAKE_SOURCE_DIR}/coordinator/service/openapi.json)
add_test(NAME check.dashboard COMMAND ${anchorage_python3} ${CMAKE_SOURCE_DIR}/tests/process/service_metrics_test.py
                                      ${CMAKE_SOURCE_DIR}/launch/observe/grafana.json
                                      ${CMAKE_SOURCE_DIR}/docs/operations.md)
set_tests_properties(check.openapi check.dashboard PROPERTIES LABELS check SKIP_RETURN_CODE 77)
