#include "coordinator/plan_advice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tests/unit/coordinator/planned_models.hpp"

namespace anchorage::coordinator {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> advice(const PlanRequest& wanted) {
  return advice_for(plan_ranks(wanted), wanted);
}

TEST(PlanAdvice, ABatchOfFewerGroupsThanReplicasLeavesSomeIdle) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 16, 80);
  wanted.workload.batch = 72;
  wanted.stages = 1;
  EXPECT_THAT(advice(wanted), Contains(HasSubstr("8 of 16 replicas get no group of edits")));
}

TEST(PlanAdvice, WhoeverTakesTheLargerBatchGetsTheGain) {
  auto wanted = request(llama2_70b(), {10, 11, 12, 13, 14}, 8, 80);
  wanted.workload.batch = 36;
  std::smatch found;
  bool advised = false;
  for (const std::string& line : advice(wanted)) {
    if (!std::regex_search(line, found, std::regex("a --batch of ([0-9]+): ([0-9.]+) s per edit"))) continue;
    advised = true;
    auto larger = wanted;
    larger.workload.batch = std::stol(found[1]);
    const double seconds = plan_ranks(larger).seconds.total() / static_cast<double>(larger.workload.batch);
    EXPECT_NEAR(seconds, std::stod(found[2]), 0.01 * seconds);
  }
  EXPECT_TRUE(advised);
}

TEST(PlanAdvice, StagesThatWereRequestedAreHeldAgainstTheFastest) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 8, 80);
  wanted.workload.batch = 576;
  wanted.stages = 8;
  EXPECT_THAT(advice(wanted), Contains(HasSubstr("1 stages instead of 8")));
  wanted.stages = 1;
  EXPECT_THAT(advice(wanted), Not(Contains(HasSubstr("stages instead of"))));
}

TEST(PlanAdvice, AMachineAtWorkIsToldNothing) {
  auto wanted = request(llama2_13b(), {6, 7, 8, 9, 10}, 8, 80);
  wanted.workload.batch = 576;
  EXPECT_THAT(advice(wanted), IsEmpty());
}

}  // namespace
}  // namespace anchorage::coordinator
