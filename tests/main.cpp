// The main of every test program that runs on one rank.
#include <gtest/gtest.h>

#include "tests/support/test_outcome.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return anchorage::tests::finish(RUN_ALL_TESTS());
}
