#include "tests/support/test_outcome.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace anchorage::tests {
namespace {

// The reason on one line; empty where the result has none.
std::string reason_in(const testing::TestResult& result) {
  std::string reason;
  for (int i = 0; i < result.total_part_count(); ++i) {
    const testing::TestPartResult& part = result.GetTestPartResult(i);
    if (part.skipped()) reason += std::string(" ") + part.message();
  }
  for (char& character : reason) {
    if (character == '\n') character = ' ';
  }
  reason.erase(0, reason.find_first_not_of(' '));
  return reason;
}

void print_skipped_tests() {
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  for (int s = 0; s < tests.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *tests.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const testing::TestInfo& test = *suite.GetTestInfo(t);
      if (!test.should_run() || !test.result()->Skipped()) continue;
      std::string reason = reason_in(*test.result());
      if (reason.empty()) reason = reason_in(suite.ad_hoc_test_result());
      if (reason.empty()) reason = "no reason given";
      std::printf("skipped: %s.%s: %s\n", suite.name(), test.name(), reason.c_str());
    }
  }
}

}  // namespace

int finish(int result, bool speaks) {
  if (testing::GTEST_FLAG(list_tests)) return result;
  const testing::UnitTest& tests = *testing::UnitTest::GetInstance();
  if (tests.test_to_run_count() == 0) {
    if (speaks) std::fprintf(stderr, "expected tests to run, found none that matches the filter and the shard\n");
    return 1;
  }
  if (speaks) print_skipped_tests();
  if (result == 0 && tests.skipped_test_count() == tests.test_to_run_count()) return skipped_exit_code;
  return result;
}

}  // namespace anchorage::tests
