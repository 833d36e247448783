// Batches of every method in models whose block differs from LLaMA's in what an edit sees.
#include <gtest/gtest.h>

#include "tests/unit/worker/editing/editor_test.hpp"
#include "worker/editing/batch_editor.hpp"

namespace anchorage::worker {
namespace {

using tests::EditorOutcome;

using ModelAndMethod = std::tuple<std::string, std::string>;

class EditsOfFamily : public tests::EditorTest, public testing::WithParamInterface<ModelAndMethod> {
 protected:
  EditsOfFamily() : EditorTest(std::get<0>(GetParam())) { options.clamp_norm_factor = 2; }

  const std::string method = std::get<1>(GetParam());
};

TEST_P(EditsOfFamily, MakeTheTargetsMoreProbableWithTheSameBitsOnTwoStages) {
  const EditorOutcome one = edit(method, {1, 1}), two = edit(method, {2, 1});
  double before = 0, after = 0;
  for (const BatchResult& batch : one.batches) {
    for (const EditOutcome& outcome : batch.edits) {
      EXPECT_EQ(outcome.refusal, "");
      before += outcome.nll_before;
      after += outcome.nll_after;
    }
  }
  EXPECT_LT(after, 0.9 * before);
  for (const std::int64_t layer : {1, 2}) {
    EXPECT_TRUE(at::equal(two.weights.at(layer), one.weights.at(layer))) << "layer " << layer;
    EXPECT_FALSE(at::equal(one.weights.at(layer), read_down_projection(directory, layer)));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, EditsOfFamily,
                         testing::Combine(testing::Values("qwen2", "qwen3", "phi3", "gptj", "gemma2", "gemma3",
                                                          "gemma3_with_vision"),
                                          tests::every_method()),
                         [](const auto& of) {
                           const std::string method = std::get<1>(of.param);
                           return std::get<0>(of.param) + "_" + (method == "b-eac" ? "b_eac" : method);
                         });

}  // namespace
}  // namespace anchorage::worker
