#include "worker/command_queue.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace anchorage::worker {
namespace {

using sharding::Command;
using sharding::ReplaySegment;
using sharding::Reply;
using sharding::Seconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

const auto ignore = [](const Reply&) {};

TEST(CommandQueue, GivesCommandsInTheOrderInWhichTheyWereSubmitted) {
  CommandQueue queue;
  for (int i = 0; i < 5; ++i) queue.submit(ReplaySegment{std::to_string(i)}, ignore);
  for (int i = 0; i < 5; ++i) {
    const auto entry = queue.take_within(Seconds{0});
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->first, Command(ReplaySegment{std::to_string(i)}));
  }
  EXPECT_FALSE(queue.take_within(Seconds{0}));
}

TEST(CommandQueue, GivesEachCommandWithTheCallThatBelongsToIt) {
  CommandQueue queue;
  std::vector<std::string> replied;
  queue.submit(sharding::RevertBatch{}, [&](const Reply&) { replied.emplace_back("revert"); });
  queue.submit(sharding::Stop{}, [&](const Reply&) { replied.emplace_back("stop"); });
  const auto first = queue.take_within(Seconds{0}), second = queue.take_within(Seconds{0});
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(replied.empty()) << "taking a command is not carrying it out";
  second->second(sharding::Stopped{});
  first->second(sharding::BatchReverted{});
  EXPECT_EQ(replied, (std::vector<std::string>{"stop", "revert"}));
}

TEST(CommandQueue, ReturnsNothingAfterTheTimeAndNotBefore) {
  CommandQueue queue;
  const auto begin = steady_clock::now();
  EXPECT_FALSE(queue.take_within(Seconds{0.1}));
  const auto waited = steady_clock::now() - begin;
  EXPECT_GE(waited, milliseconds{100});
  EXPECT_LT(waited, milliseconds{5000});
}

TEST(CommandQueue, WakesTheTakerAsSoonAsACommandComes) {
  CommandQueue queue;
  const auto begin = steady_clock::now();
  const std::jthread coordinator([&] {
    std::this_thread::sleep_for(milliseconds{50});
    queue.submit(sharding::Stop{}, ignore);
  });
  EXPECT_TRUE(queue.take_within(Seconds{60}));
  EXPECT_LT(steady_clock::now() - begin, milliseconds{10'000});
}

TEST(CommandQueue, KeepsWhatCameAfterTheTimeForTheNextTake) {
  CommandQueue queue;
  EXPECT_FALSE(queue.take_within(Seconds{0.01}));
  queue.submit(sharding::Stop{}, ignore);
  EXPECT_TRUE(queue.take_within(Seconds{0}));
}

TEST(CommandQueue, LosesAndRepeatsNothingOfSeveralProducersAndKeepsTheOrderOfEach) {
  constexpr int producers = 4, commands = 500;
  CommandQueue queue;
  std::map<std::int64_t, std::vector<std::int64_t>> taken;  // by producer
  {
    std::vector<std::jthread> threads;
    for (int producer = 0; producer < producers; ++producer) {
      threads.emplace_back([&queue, producer] {
        for (int i = 0; i < commands; ++i)
          queue.submit(sharding::SaveCheckpoint{std::to_string(producer), i, ""}, ignore);
      });
    }
    for (int i = 0; i < producers * commands; ++i) {
      const auto entry = queue.take_within(Seconds{60});
      ASSERT_TRUE(entry) << "after " << i << " commands";
      const auto& command = std::get<sharding::SaveCheckpoint>(entry->first);
      taken[std::stoll(command.directory)].push_back(command.segment);
    }
  }
  EXPECT_FALSE(queue.take_within(Seconds{0}));
  ASSERT_EQ(std::ssize(taken), producers);
  for (const auto& [producer, numbers] : taken) {
    ASSERT_EQ(std::ssize(numbers), commands) << "of producer " << producer;
    for (int i = 0; i < commands; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
  }
}

// As a run has it: the coordinator submits the next command when the reply has come, on the worker's thread.
TEST(CommandQueue, TakesACommandThatTheReplyToTheLastOneSubmits) {
  CommandQueue queue;
  int replies = 0;
  std::function<void(Reply)> next = [&](const Reply&) {
    if (++replies < 100) queue.submit(sharding::RevertBatch{}, next);
  };
  std::jthread coordinator([&] { queue.submit(sharding::RevertBatch{}, next); });
  while (replies < 100) {
    auto entry = queue.take_within(Seconds{60});
    ASSERT_TRUE(entry);
    entry->second(sharding::BatchReverted{});
  }
  EXPECT_EQ(replies, 100);
}

}  // namespace
}  // namespace anchorage::worker
