// The command loop that every rank runs, with a script in the coordinator's place.
#include "worker/runtime.hpp"

#include <gtest/gtest.h>

#include "tests/unit/worker/editor_test.hpp"

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

  // What rank 0 answers to these commands, of the batches alone.
  std::vector<BatchApplied> answers(const sharding::Topology& shape, const std::vector<sharding::Command>& script) {
    std::vector<BatchApplied> applied;
    on_ranks("b-eac", shape, [&](const EditorRank& rank) {
      CommandQueue queue;
      const auto keep = [&](sharding::Reply reply) {
        if (auto* one = std::get_if<BatchApplied>(&reply)) applied.push_back(std::move(*one));
      };
      for (const sharding::Command& command : script) queue.submit(command, keep);
      queue.submit(sharding::Stop{}, keep);
      run_command_loop(rank.editor, rank.probe, rank.world, rank.is_root() ? &queue : nullptr);
    });
    return applied;
  }

  static void expect_same(const BatchApplied& found, const BatchApplied& expected) {
    EXPECT_EQ(found.edits, expected.edits);
    EXPECT_EQ(found.layers, expected.layers);
    EXPECT_EQ(found.anchors, expected.anchors);
    EXPECT_EQ(found.heldout_loss, expected.heldout_loss);
  }
};

TEST_F(CommandLoop, AnswersTheSameBitsInAnyShape) {
  const std::vector<sharding::Command> script = {batch(0, 4), batch(4, 3)};
  const auto one = answers({1, 1}, script);
  ASSERT_EQ(one.size(), 2U);
  EXPECT_NE(one[0].heldout_loss.before, one[0].heldout_loss.after);
  EXPECT_EQ(one[1].heldout_loss.before, one[0].heldout_loss.after);
  for (const sharding::Topology& shape : tests::shapes) {
    SCOPED_TRACE(tests::name_of(shape));
    const auto several = answers(shape, script);
    ASSERT_EQ(several.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) expect_same(several[i], one[i]);
  }
}

// As the guard has it: what was undone leaves no trace, neither in what later batches find nor in the loss before
// them.
TEST_F(CommandLoop, ABatchThatIsUndoneWasNeverThereInAnyShape) {
  const auto never = answers({1, 1}, {batch(4, 3)});
  ASSERT_EQ(never.size(), 1U);
  for (const sharding::Topology& shape : tests::shapes) {
    SCOPED_TRACE(tests::name_of(shape));
    const auto undone = answers(shape, {batch(0, 4), sharding::UndoBatch{}, batch(4, 3)});
    ASSERT_EQ(undone.size(), 2U);
    expect_same(undone[1], never[0]);
  }
}

}  // namespace
}  // namespace anchorage::worker
