// How a program of tests ends, with either main (tests/main.cpp, tests/mpi/main.cpp).
#pragma once

namespace anchorage::tests {

// CTest's SKIP_RETURN_CODE (cmake/AnchorageTest.cmake).
inline constexpr int skipped_exit_code = 77;

// Call it after RUN_ALL_TESTS, with what that returned. Returns the program's exit code: 1 when a test failed or
// none was selected, skipped_exit_code when every test was skipped, else 0. With `speaks`, prints a line "skipped:
// <test>: <reason>" for every skipped test, which launch/test repeats after CTest's summary.
int finish(int result, bool speaks = true);

}  // namespace anchorage::tests
