// The command loop that every rank runs, with a script in the coordinator's place.
#include "worker/runtime.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "tests/unit/worker/editing/editor_test.hpp"

namespace anchorage::worker {
namespace {

using sharding::ApplyBatch;
using sharding::BatchApplied;
using tests::EditorRank;

class CommandLoop : public tests::EditorTest {
 protected:
  static ApplyBatch batch(std::size_t begin, std::size_t count) {
    const auto edits = tests::seven_edits();
    const auto part = std::span(edits).subspan(begin, count);
    return {.edits = {part.begin(), part.end()}, .superseded = {}, .batch = 1};
  }

  // What rank 0 answers to these commands, of the batches alone. `look`: before and after them, on every rank.
  std::vector<BatchApplied> answers(
      const sharding::Topology& shape, const std::vector<sharding::Command>& script,
      const std::function<void(const EditorRank&, bool at_begin)>& look = [](const EditorRank&, bool) {}) {
    std::vector<BatchApplied> applied;
    on_ranks("b-eac", shape, [&](const EditorRank& rank) {
      look(rank, true);
      CommandQueue queue;
      const auto keep = [&](sharding::Reply reply) {
        if (auto* one = std::get_if<BatchApplied>(&reply)) applied.push_back(std::move(*one));
      };
      for (const sharding::Command& command : script) queue.submit(command, keep);
      queue.submit(sharding::Stop{}, keep);
      run_command_loop(rank.editor, rank.probes, rank.world, rank.is_root() ? &queue : nullptr);
      look(rank, false);
    });
    return applied;
  }

  static void expect_same(const BatchApplied& found, const BatchApplied& expected) {
    EXPECT_EQ(found.edits, expected.edits);
    EXPECT_EQ(found.layers, expected.layers);
    EXPECT_EQ(found.anchors, expected.anchors);
    EXPECT_EQ(found.heldout_loss, expected.heldout_loss);
    EXPECT_EQ(found.canaries, expected.canaries);
  }
};

TEST_F(CommandLoop, AnswersTheSameBitsInAnyShape) {
  canaries = {{.id = "a", .prompt = "The CEO of Boeing is"}, {.id = "b", .prompt = "The sun", .answer = "rises"}};
  const std::vector<sharding::Command> script = {batch(0, 4), sharding::AcceptBatch{}, batch(4, 3),
                                                 sharding::AcceptBatch{}};
  const auto one = answers({1, 1}, script);
  ASSERT_EQ(one.size(), 2U);
  EXPECT_NE(one[0].heldout_loss.before, one[0].heldout_loss.after);
  EXPECT_EQ(one[1].heldout_loss.before, one[0].heldout_loss.after);
  ASSERT_EQ(one[0].canaries.size(), 2U);
  EXPECT_TRUE(one[0].canaries[0].held_before);
  EXPECT_EQ(one[1].canaries[0].said_before, one[0].canaries[0].said_after);
  for (const sharding::Topology& shape : tests::shapes) {
    SCOPED_TRACE(tests::name_of(shape));
    const auto several = answers(shape, script);
    ASSERT_EQ(several.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) expect_same(several[i], one[i]);
  }
}

TEST_F(CommandLoop, CountsEveryCommandAndEveryPartOfABatchAsAnActivity) {
  sharding::Activities activities;  // of the only rank
  answers({1, 1}, {batch(0, 4), sharding::RevertBatch{}}, [&](const EditorRank& rank, bool at_begin) {
    if (!at_begin) return activities.stop();
    rank.world.record_in(activities);
    activities.start();
  });
  for (const char* name : {"apply batch", "contexts", "values", "keys", "write", "products", "factor", "accept",
                           "anchors", "score", "revert batch", "stop"}) {
    EXPECT_TRUE(activities.activities().contains(name)) << name;
  }
  EXPECT_FALSE(activities.waits().contains("receive command")) << "a rank without a command is idle";
}

// A batch that the guard reverted leaves no trace, neither in what later batches find nor in the loss before
// them.
TEST_F(CommandLoop, ABatchThatIsUndoneWasNeverThereInAnyShape) {
  const auto never = answers({1, 1}, {batch(4, 3)});
  ASSERT_EQ(never.size(), 1U);
  for (const sharding::Topology& shape : tests::shapes) {
    SCOPED_TRACE(tests::name_of(shape));
    const auto reverted = answers(shape, {batch(0, 4), sharding::RevertBatch{}, batch(4, 3)});
    ASSERT_EQ(reverted.size(), 2U);
    expect_same(reverted[1], never[0]);
  }
}

TEST_F(CommandLoop, SlabsMoveToOtherOwnersAndTheBitsStayTheSame) {
  options.layers = {0, 1, 2};
  limits = torch::full({3}, 1e9);
  most_slab_rows = 1000;  // a slab a layer
  const std::vector<sharding::Command> script = {batch(0, 4), sharding::AcceptBatch{},
                                                 batch(4, 2), sharding::RevertBatch{},
                                                 batch(4, 3), sharding::AcceptBatch{}};
  const auto one = answers({1, 1}, script);
  std::vector<int> before, after;
  const auto several = answers({1, 2}, script, [&](const EditorRank& rank, bool at_begin) {
    if (rank.is_root()) (at_begin ? before : after) = rank.editor.solver().owners();
  });
  EXPECT_NE(before, after) << "the case has a shift of load";
  ASSERT_EQ(several.size(), one.size());
  for (std::size_t i = 0; i < one.size(); ++i) expect_same(several[i], one[i]);
}

// A coordinator that has nothing to ask for longer than ranks wait for each other.
TEST_F(CommandLoop, RanksWaitForTheNextCommandForAsLongAsRankZeroIsThere) {
  deadline = sharding::Seconds{2};
  std::atomic<int> through = 0;
  on_ranks("b-eac", {1, 2}, [&](const EditorRank& rank) {
    CommandQueue queue;
    std::jthread coordinator;
    if (rank.is_root()) {
      coordinator = std::jthread([&] {
        std::this_thread::sleep_for(std::chrono::seconds{5});
        queue.submit(sharding::Stop{}, [](const sharding::Reply&) {});
      });
    }
    run_command_loop(rank.editor, rank.probes, rank.world, rank.is_root() ? &queue : nullptr);
    ++through;
  });
  EXPECT_EQ(through, 2);
}

// The edits of one replica are refused at once, those of the other take several times the deadline, a group of them
// less than it: how long they take here is measured first.
TEST_F(CommandLoop, AReplicaWithoutWorkWaitsForTheGroupsOfAnother) {
  constexpr std::size_t groups = 12;  // of one edit, of each replica
  options.group = 1;
  options.eac_locate_steps = 100;
  ApplyBatch command = batch(0, 0);
  const auto edits = tests::seven_edits();
  for (std::size_t i = 0; i < 2 * groups; ++i) command.edits.push_back(edits[i % edits.size()]);
  for (std::size_t i = 0; i < groups; ++i) command.edits[i].prompt += std::string(3000, 'x');
  const auto seconds = [&] {
    const auto start = std::chrono::steady_clock::now();
    const auto found = answers({1, 2}, {command});
    EXPECT_EQ(found.size(), 1U);
    for (std::size_t i = 0; !found.empty() && i < 2 * groups; ++i) {
      EXPECT_EQ(found[0].edits[i].state, i < groups ? io::EditState::set_aside : io::EditState::committed);
    }
    return sharding::Seconds(std::chrono::steady_clock::now() - start);
  };
  deadline = seconds() / 4;
  EXPECT_GT(seconds(), deadline) << "the case takes long enough";
}

}  // namespace
}  // namespace anchorage::worker
