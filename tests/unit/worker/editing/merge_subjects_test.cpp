// Batches with several edits of one subject, which share a value.
#include <gtest/gtest.h>

#include <utility>

#include "tests/unit/worker/editing/editor_test.hpp"
#include "worker/editing/values/edit_group.hpp"

namespace anchorage::worker {
namespace {

using tests::EditorOutcome;
using tests::name_of;
using tests::seven_edits;
using tests::shapes;

// Two facts of one subject, with edits of others between them, of which one cannot be written. In groups of two, by
// subject: {0, 3}, {1, 2}, {4}.
std::vector<io::Edit> five_edits() {
  auto edits = seven_edits();
  edits.resize(5);
  edits[1].target = "";
  edits[3] = {.id = "seat", .subject = edits[0].subject, .prompt = "{} has its seat in", .target = "Ohio"};
  return edits;
}

class MergeSubjects : public tests::EditorTest {
 protected:
  BatchResult apply(const std::string& method, const std::vector<io::Edit>& edits) {
    return edit(method, {1, 1}, edits, edits.size()).batches.front();
  }
};
class MergeSubjectsOfMethod : public MergeSubjects, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Methods, MergeSubjectsOfMethod, tests::every_method(),
                         [](const auto& method) { return tests::name_of(method); });

TEST_P(MergeSubjectsOfMethod, WritesAllFactsOfTheSubjectAndRecordsThemInTheOrderOfTheBatch) {
  const BatchResult merged = apply(GetParam(), five_edits());
  ASSERT_EQ(merged.edits.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(merged.edits[i].refusal.empty(), i != 1) << merged.edits[i].refusal;
  EXPECT_LT(merged.edits[0].nll_after + merged.edits[3].nll_after,
            merged.edits[0].nll_before + merged.edits[3].nll_before);

  // The keys of the first edited layer are those of the unedited model, whichever way groups are made.
  options.merge_subjects = false;
  const BatchResult separate = apply(GetParam(), five_edits());
  const auto &keys = merged.layers.front().keys, &expected = separate.layers.front().keys;
  ASSERT_EQ(keys.size(0), 4);
  tests::expect_close(keys, expected, 1e-4);
  const auto distance = [&](std::int64_t i, std::int64_t j) {
    return (keys[i] - expected[j]).norm().item<double>();
  };
  for (std::int64_t i = 0; i < 4; ++i) {
    for (std::int64_t j = 0; j < 4; ++j) {
      if (i != j) {
        EXPECT_LT(10 * distance(i, i), distance(i, j)) << i << " is in the place of " << j;
      }
    }
  }
  EXPECT_FALSE(at::equal(merged.layers.front().residuals[0], separate.layers.front().residuals[0]));
}

TEST_P(MergeSubjectsOfMethod, GivesTheSameBitsInAnyShape) {
  const EditorOutcome one = edit(GetParam(), {1, 1}, five_edits(), 5);
  for (const sharding::Topology& shape : {sharding::Topology{1, 2}, {1, 3}, {2, 1}, {2, 2}, {4, 1}}) {
    const EditorOutcome several = edit(GetParam(), shape, five_edits(), 5);
    for (const std::int64_t layer : {1, 2})
      EXPECT_TRUE(at::equal(several.weights.at(layer), one.weights.at(layer))) << name_of(shape) << " " << layer;
    EXPECT_EQ(several.batches.front().anchors, one.batches.front().anchors) << name_of(shape);
  }
}

TEST_P(MergeSubjectsOfMethod, ChangesNothingWhereNoSubjectRepeats) {
  const EditorOutcome merged = edit(GetParam(), {1, 1});
  options.merge_subjects = false;
  const EditorOutcome separate = edit(GetParam(), {1, 1});
  for (const std::int64_t layer : {1, 2})
    EXPECT_TRUE(at::equal(merged.weights.at(layer), separate.weights.at(layer))) << layer;
}

// Without sweeps what B-EAC writes at a layer's keys are the values themselves.
TEST_F(MergeSubjects, FactsOfOneSubjectHaveTheValuesAndAnchorsOfTheFirst) {
  options.correction_sweeps = 0;
  const BatchResult batch = apply("b-eac", five_edits());
  ASSERT_EQ(batch.layers.size(), 2U);
  for (const LayerUpdate& update : batch.layers) {
    EXPECT_TRUE(at::equal(update.residuals[0], update.residuals[2])) << update.layer;
    EXPECT_GT(update.residuals[0].abs().max().item<double>(), 0) << update.layer;
    EXPECT_FALSE(at::equal(update.residuals[0], update.residuals[1])) << update.layer;
  }
  for (const io::AnchorRecord& anchors : batch.anchors) {
    const io::SparseRows& chosen = anchors.chosen;
    ASSERT_EQ(chosen.offsets.size(), 5U);
    const auto row = [&](std::size_t edit) {
      return std::vector(chosen.indices.begin() + chosen.offsets[edit],
                         chosen.indices.begin() + chosen.offsets[edit + 1]);
    };
    EXPECT_EQ(row(0), row(2)) << anchors.layer;
    EXPECT_NE(row(0), row(1)) << anchors.layer;
    EXPECT_FALSE(row(0).empty()) << anchors.layer;
  }
}

// However many facts of a subject a batch has, anchors are selected for it once.
TEST_F(MergeSubjects, FactsOfOneSubjectTakePartInTheSelectionOnce) {
  const torch::NoGradGuard no_gradients;
  const PromptBuilder prompts(tokenizer);
  const Transformer model = load_transformer(directory);
  const auto selecting = [&] {
    auto groups = EditGroup::make(model, prompts, {.prefixes = {""}, .wanted = 1}, limits, options, {five_edits()});
    EditGroup::locate_anchors(groups);
    return std::pair(groups.front().selecting_saliency(), groups.front().saliency());
  };
  const auto [once, saliency] = selecting();
  ASSERT_EQ(once.size(0), 4);
  for (const std::int64_t edit : {0, 1, 3}) EXPECT_TRUE(at::equal(once[edit], saliency[edit])) << edit;
  EXPECT_TRUE(at::equal(saliency[2], saliency[0]));
  EXPECT_FALSE(once[2].any().item<bool>());
  options.merge_subjects = false;
  const auto [each, separate] = selecting();
  EXPECT_TRUE(at::equal(each, separate));
}

}  // namespace
}  // namespace anchorage::worker
