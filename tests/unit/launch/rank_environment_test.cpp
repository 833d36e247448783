#include "launch/program/rank_environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Variables = std::map<std::string, std::string>;

EnvironmentLookup with(const Variables& variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

int ranks_of_slurm(const std::string& tasks, const std::string& node = "") {
  return ranks_on_machine(with({{"SLURM_STEP_TASKS_PER_NODE", tasks}, {"SLURM_NODEID", node}}));
}

TEST(RankEnvironment, WithoutALauncherARankIsAloneOnItsMachineAndHasAllCores) {
  EXPECT_EQ(ranks_on_machine(with({})), 1);
  EXPECT_EQ(rank_on_machine(with({})), 0);
  EXPECT_EQ(cores_per_rank(with({}), 16), 16);
}

TEST(RankEnvironment, OfMpirunARankKnowsItsNumberAndSharesTheCores) {
  const auto environment = with({{"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "3"}});
  EXPECT_EQ(ranks_on_machine(environment), 4);
  EXPECT_EQ(rank_on_machine(environment), 3);
  EXPECT_EQ(cores_per_rank(environment, 18), 4);
}

TEST(RankEnvironment, OfSrunARankKnowsItsNumberAndSharesTheCores) {
  const auto environment = with({{"SLURM_STEP_TASKS_PER_NODE", "2"}, {"SLURM_LOCALID", "1"}});
  EXPECT_EQ(ranks_on_machine(environment), 2);
  EXPECT_EQ(rank_on_machine(environment), 1);
  EXPECT_EQ(cores_per_rank(environment, 16), 8);
}

TEST(RankEnvironment, MpirunInsideOfASlurmJobIsBelievedBeforeSlurm) {
  const auto environment = with({{"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                 {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                 {"SLURM_STEP_TASKS_PER_NODE", "1(x4)"},
                                 {"SLURM_LOCALID", "0"}});
  EXPECT_EQ(ranks_on_machine(environment), 2);
  EXPECT_EQ(rank_on_machine(environment), 1);
}

TEST(RankEnvironment, TasksPerNodeOfSlurmAreReadForThisNode) {
  const std::string tasks = "4(x2),3,1(x3)";
  const std::vector<int> expected = {4, 4, 3, 1, 1, 1};
  for (std::size_t node = 0; node < expected.size(); ++node)
    EXPECT_EQ(ranks_of_slurm(tasks, std::to_string(node)), expected[node]) << "node " << node;
}

TEST(RankEnvironment, WithoutANodesNumberTheFullestNodeIsTakenForThisOne) {
  EXPECT_EQ(ranks_of_slurm("2,4(x2),3"), 4);
}

TEST(RankEnvironment, CoresThatSlurmGivesATaskAreTakenWhateverTheMachineHas) {
  EXPECT_EQ(cores_per_rank(with({{"SLURM_CPUS_PER_TASK", "6"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}}), 16), 6);
}

TEST(RankEnvironment, MoreRanksThanCoresHaveOneCoreEach) {
  EXPECT_EQ(cores_per_rank(with({{"OMPI_COMM_WORLD_LOCAL_SIZE", "8"}}), 2), 1);
  EXPECT_EQ(cores_per_rank(with({}), 0), 1) << "of a machine that does not say how many it has";
}

TEST(RankEnvironment, AnEmptyVariableSaysNothing) {
  EXPECT_EQ(ranks_on_machine(with({{"OMPI_COMM_WORLD_LOCAL_SIZE", ""}, {"SLURM_STEP_TASKS_PER_NODE", "3"}})), 3);
  EXPECT_EQ(rank_on_machine(with({{"OMPI_COMM_WORLD_LOCAL_RANK", ""}, {"SLURM_LOCALID", "2"}})), 2);
}

TEST(RankEnvironment, WhatIsNoNumberOfRanksIsRefusedByTheVariablesName) {
  for (const char* value : {"two", "2 ", " 2", "2x", "0", "-1", "1.5", "0x2", "1000001", "99999999999999999999"}) {
    SCOPED_TRACE(value);
    const auto environment = with({{"OMPI_COMM_WORLD_LOCAL_SIZE", value}});
    EXPECT_THAT(tests::message_of<io::UserError>([&] { (void)ranks_on_machine(environment); }),
                AllOf(HasSubstr("expected a whole number from 1 to 1000000"), HasSubstr(value),
                      HasSubstr("environment variable OMPI_COMM_WORLD_LOCAL_SIZE")));
    EXPECT_THROW((void)cores_per_rank(environment, 4), io::UserError);
  }
}

TEST(RankEnvironment, WhatIsNoNumberOfARankOrOfCoresIsRefused) {
  EXPECT_THAT(tests::message_of<io::UserError>([] {
                (void)rank_on_machine(with({{"SLURM_LOCALID", "first"}}));
              }),
              HasSubstr("environment variable SLURM_LOCALID"));
  EXPECT_THROW((void)rank_on_machine(with({{"OMPI_COMM_WORLD_LOCAL_RANK", "-1"}})), io::UserError);
  EXPECT_THAT(tests::message_of<io::UserError>([] {
                (void)cores_per_rank(with({{"SLURM_CPUS_PER_TASK", "0"}}), 4);
              }),
              HasSubstr("environment variable SLURM_CPUS_PER_TASK"));
}

TEST(RankEnvironment, WhatIsNoListOfTasksPerNodeIsRefused) {
  for (const char* value : {"4(x2", "4(x)", "4(x0)", "4()", "4(2)", "(x2)", "4,", ",4", "4,,3", "4;3", "0",
                            "4(x2)3", "0(x2)", "4 (x2)", "4(x-2)", "4(X2)", "four"}) {
    SCOPED_TRACE(value);
    EXPECT_THAT(tests::message_of<io::UserError>([&] { (void)ranks_of_slurm(value, "0"); }),
                AllOf(HasSubstr("tasks per node as Slurm writes them, such as 4(x2),3"), HasSubstr(value),
                      HasSubstr("environment variable SLURM_STEP_TASKS_PER_NODE")));
  }
}

TEST(RankEnvironment, ANodeThatIsNotInTheListIsRefused) {
  EXPECT_THAT(tests::message_of<io::UserError>([] { (void)ranks_of_slurm("4(x2),3", "3"); }),
              AllOf(HasSubstr("a node of the 3 that SLURM_STEP_TASKS_PER_NODE lists"),
                    HasSubstr("environment variable SLURM_NODEID")));
}

TEST(RankEnvironment, TheEnvironmentOfThisProcessIsLookedUp) {
  const char* path = std::getenv("PATH");
  ASSERT_NE(path, nullptr);
  EXPECT_EQ(process_environment("PATH"), path);
  EXPECT_EQ(process_environment("ANCHORAGE_VARIABLE_THAT_NOBODY_SETS"), std::nullopt);
}

}  // namespace
}  // namespace anchorage::launch
