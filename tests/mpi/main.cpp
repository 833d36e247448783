// The main of every test program that runs on several ranks.
//
// The exit code is the same on every rank: that of tests/support/test_outcome.hpp, where a test that failed on any
// rank has failed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "tests/mpi/mpi_test.hpp"
#include "tests/support/test_outcome.hpp"

namespace anchorage::sharding {
namespace {

const MpiSession* the_session = nullptr;

// At the end of each test, gathers the failures of all ranks on rank 0, which prints them, and fails the test on
// every rank.
class FailuresOfAllRanks final : public testing::EmptyTestEventListener {
 public:
  FailuresOfAllRanks() : world_(mpi_session().world()) {}

 private:
  void OnTestStart(const testing::TestInfo&) override { mine_.clear(); }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    mine_ += fmt::format("rank {}: {}:{}: {}\n", world_->rank(), result.file_name() ? result.file_name() : "",
                         result.line_number(), result.message());
  }

  void OnTestEnd(const testing::TestInfo& info) override {
    const auto* begin = reinterpret_cast<const std::byte*>(mine_.data());
    const bool passed = agree(*world_, mine_.empty());
    std::string theirs;
    for (const auto& text : world_->gather({begin, mine_.size()}, 0, "gather failures")) {
      theirs.append(reinterpret_cast<const char*>(text.data()), text.size());
    }
    if (world_->rank() == 0) std::fputs(theirs.c_str(), stdout);
    if (!passed && info.result()->Passed()) ADD_FAILURE() << "failed on another rank";
  }

  std::unique_ptr<HostCommunicator> world_;
  std::string mine_;
};

int run_tests() {
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (mpi_session().rank() != 0) delete listeners.Release(listeners.default_result_printer());
  FailuresOfAllRanks report;
  listeners.Append(&report);  // after the printer, so before it when a test ends
  const int result = RUN_ALL_TESTS();
  listeners.Release(&report);
  return tests::finish(result, mpi_session().rank() == 0);
}

}  // namespace

const MpiSession& mpi_session() {
  return *the_session;
}

bool agree(HostCommunicator& world, bool condition) {
  std::int64_t against = condition ? 0 : 1;
  world.all_reduce_sum(std::span(&against, 1), "agree");
  return against == 0;
}

void run_mpi_world(const std::function<void(HostCommunicator&)>& body, const MpiOptions& options) {
  const std::unique_ptr<HostCommunicator> world = mpi_session().world(options);
  try {
    body(*world);
  } catch (const std::exception& error) {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::fprintf(stderr, "rank %d in %s.%s: %s\n", world->rank(), test->test_suite_name(), test->name(),
                 error.what());
    mpi_session().end_job(1);
  }
}

}  // namespace anchorage::sharding

int main(int argc, char** argv) {
  anchorage::sharding::MpiSession session(argc, argv);
  anchorage::sharding::the_session = &session;
  testing::InitGoogleTest(&argc, argv);
  try {
    return anchorage::sharding::run_tests();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %s\n", session.rank(), error.what());
    session.end_job(1);
  }
}
