#include "worker/editing/divided_batch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "sharding/collective/device_communicator.hpp"
#include "tests/support/thread_communicator.hpp"

namespace anchorage::worker {
namespace {

// An edit for each letter, its subject; its number is its place in the batch.
std::vector<io::Edit> edits_about(const std::string& subjects) {
  std::vector<io::Edit> edits;
  for (const char subject : subjects)
    edits.push_back({.id = std::to_string(edits.size()), .subject = std::string(1, subject)});
  return edits;
}

std::vector<float> numbers(const torch::Tensor& rows) {
  EXPECT_EQ(rows.size(1), 2);
  const auto column = rows.select(1, 0).contiguous();
  return {column.data_ptr<float>(), column.data_ptr<float>() + column.numel()};
}

// A row of each edit with its number and that of the rank.
torch::Tensor rows_of(std::span<const io::Edit> edits, int rank) {
  std::vector<float> values;
  for (const io::Edit& edit : edits) values.insert(values.end(), {std::stof(edit.id), static_cast<float>(rank)});
  return torch::tensor(values).view({-1, 2});
}

struct Case {
  std::string subjects;
  std::vector<std::string> refused;  // ids
  bool merge_subjects = true;
  std::vector<float> written;  // numbers, in the order of the batch
};

// Runs `body` on so many ranks, each a replica.
void on_replicas(int count, const std::function<void(const Communicators&)>& body) {
  tests::run_thread_world(count, [&](sharding::HostCommunicator& world) {
    const auto tensors = sharding::make_device_communicator(world, torch::kCPU);
    body(Communicators(world, *tensors));
  });
}

void expect_in_order(const Case& given, int ranks) {
  on_replicas(ranks, [&](const Communicators& communicators) {
    const auto edits = edits_about(given.subjects);
    sharding::BatchSeconds seconds;
    DividedBatch batch(communicators, edits, 2, given.merge_subjects, seconds);

    std::vector<std::string> refusals;
    std::vector<torch::Tensor> of_written, of_all;
    for (const auto& group : batch.own_groups()) {
      std::vector<io::Edit> written;
      for (const io::Edit& edit : group) {
        const bool is_refused = std::ranges::count(given.refused, edit.id) > 0;
        refusals.push_back(is_refused ? "no " + edit.id : "");
        if (!is_refused) written.push_back(edit);
      }
      of_written.push_back(rows_of(written, communicators.rank()));
    }
    batch.gather_refusals(refusals);
    for (const auto& range : own_groups(communicators, std::ssize(edits), 2))
      of_all.push_back(rows_of(part_of(std::span(edits), range), communicators.rank()));

    for (const io::Edit& edit : edits) {
      const bool is_refused = std::ranges::count(given.refused, edit.id) > 0;
      EXPECT_EQ(batch.refusals()[std::stoul(edit.id)], is_refused ? "no " + edit.id : "");
    }
    EXPECT_THAT(numbers(batch.gather_written(of_written, 2, "gather written")),
                testing::ElementsAreArray(given.written));
    if (of_all.empty()) of_all.push_back(torch::empty({0, 2}));
    const auto all = numbers(communicators.device.all_gather(
        at::cat(of_all), items_by_rank(communicators, std::ssize(edits), 2), "gather all"));
    EXPECT_EQ(all.size(), edits.size());
    EXPECT_TRUE(std::ranges::is_sorted(all));
    EXPECT_GT(seconds.communicate, 0);
  });
}

TEST(DividedBatch, BringsWhatRanksFoundIntoTheOrderOfTheBatch) {
  const std::vector<Case> cases = {
      {"abcde", {}, true, {0, 1, 2, 3, 4}},
      {"abaca", {}, true, {0, 1, 2, 3, 4}},            // groups: aa, ab, c
      {"abaca", {"2"}, true, {0, 1, 3, 4}},            // refused among those of a subject
      {"abaca", {"0", "3"}, true, {1, 2, 4}},          //
      {"abaca", {"0", "3"}, false, {1, 2, 4}},         //
      {"abcab", {"0", "1", "2", "3", "4"}, true, {}},  // all
      {"a", {}, true, {0}},                            // ranks without a group
  };
  for (const Case& given : cases) {
    for (const int ranks : {1, 2, 3}) {
      SCOPED_TRACE(given.subjects + " on " + std::to_string(ranks));
      expect_in_order(given, ranks);
    }
  }
}

TEST(DividedBatch, DividesInTheOrderOfSubjectsOnlyWhereTheyAreMerged) {
  on_replicas(1, [](const Communicators& communicators) {
    const auto edits = edits_about("abaca");
    sharding::BatchSeconds seconds;
    const auto groups = [&](bool merge_subjects) {
      std::vector<std::string> ids;
      for (const auto& group : DividedBatch(communicators, edits, 2, merge_subjects, seconds).own_groups()) {
        ids.emplace_back();
        for (const io::Edit& edit : group) ids.back() += edit.id;
      }
      return ids;
    };
    EXPECT_THAT(groups(true), testing::ElementsAre("02", "41", "3"));
    EXPECT_THAT(groups(false), testing::ElementsAre("01", "23", "4"));
  });
}

TEST(DividedBatch, BringsOtherThingsOfTheWrittenEditsIntoItsOrder) {
  on_replicas(1, [](const Communicators& communicators) {
    const auto edits = edits_about("abaca");
    sharding::BatchSeconds seconds;
    DividedBatch batch(communicators, edits, 2, true, seconds);
    batch.gather_refusals({"", "no", "", "", ""});  // of the groups 02, 41 and 3: that of 2
    EXPECT_THAT(batch.in_order_of_batch(std::vector<std::string>{"0", "4", "1", "3"}),
                testing::ElementsAre("0", "1", "3", "4"));
  });
}

}  // namespace
}  // namespace anchorage::worker
