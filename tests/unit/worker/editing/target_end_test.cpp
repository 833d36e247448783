// The end of text as a part of targets: written where it is asked for, and nothing else changes.
#include <gtest/gtest.h>

#include "tests/unit/worker/editing/editor_test.hpp"

namespace anchorage::worker {
namespace {

class TargetEndTest : public tests::EditorTest {
 protected:
  // Returns the weight of layer 2.
  torch::Tensor written(const std::vector<io::Edit>& edits) {
    torch::Tensor weight;
    on_ranks("memit", {1, 1}, [&](const tests::EditorRank& rank) {
      for (const EditOutcome& outcome : rank.editor.apply(edits).edits) EXPECT_EQ(outcome.refusal, "");
      rank.editor.accept();
      weight = rank.weights.master(2).clone();
    });
    return weight;
  }

  static std::vector<io::Edit> edits_that_say(std::optional<bool> target_end) {
    auto edits = tests::seven_edits();
    for (io::Edit& edit : edits) edit.target_end = target_end;
    return edits;
  }
};

TEST_F(TargetEndTest, IsWrittenWhereHyperParametersOrTheEditSaySoAndNowhereElse) {
  const auto plain = written(edits_that_say(std::nullopt)), by_record = written(edits_that_say(true));
  options.target_end = true;
  const auto by_hparams = written(edits_that_say(std::nullopt)), not_by_record = written(edits_that_say(false));
  EXPECT_TRUE(at::equal(by_record, by_hparams));
  EXPECT_TRUE(at::equal(not_by_record, plain)) << "without it the same bits";
  EXPECT_FALSE(at::equal(by_hparams, plain));
}

}  // namespace
}  // namespace anchorage::worker
