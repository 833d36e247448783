// Batches on one to four ranks, as threads of this process.
#include "worker/editing/batch_editor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <utility>

#include "tests/unit/worker/editing/editor_test.hpp"
#include "tests/unit/worker/editing/update/whole_inverse.hpp"
#include "worker/checkpoint_writer.hpp"

namespace anchorage::worker {
namespace {

using tests::Cut;
using tests::EditorOutcome;
using tests::EditorRank;
using tests::name_of;
using tests::seven_edits;
using tests::shapes;

class BatchEditorTest : public tests::EditorTest {
 protected:
  // Each rank holds of these weights what it should.
  static void expect_weights(const EditedWeights& weights, const EditorOutcome& expected,
                             const std::string& where) {
    for (const std::int64_t layer : {1, 2}) {
      if (!weights.holds(layer)) continue;
      EXPECT_TRUE(at::equal(weights.master(layer), expected.weights.at(layer))) << where << ", layer " << layer;
    }
  }
};

class BatchEditorOfMethod : public BatchEditorTest, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Methods, BatchEditorOfMethod, tests::every_method(),
                         [](const auto& method) { return tests::name_of(method); });

TEST_P(BatchEditorOfMethod, GivesTheSameBitsOnOneToFourRanksInAnyShape) {
  const EditorOutcome one = edit(GetParam(), {1, 1});
  for (const auto& [stages, replicas] : {std::pair{1, 2}, {2, 1}, {1, 3}, {3, 1}, {2, 2}, {4, 1}}) {
    for (const Cut each : {Cut::one_range, Cut::two_ranges}) {
      if (stages == 1 && each == Cut::two_ranges) continue;
      cut = each;
      const EditorOutcome several = edit(GetParam(), {stages, replicas});
      for (const std::int64_t layer : {1, 2}) {
        EXPECT_TRUE(at::equal(several.weights.at(layer), one.weights.at(layer)))
            << stages << " stages x " << replicas << " replicas, layer " << layer << ", "
            << (cut == Cut::one_range ? "one range a stage" : "two ranges a stage");
        EXPECT_FALSE(at::equal(one.weights.at(layer), read_down_projection(directory, layer)));
      }
      for (std::size_t i = 0; i < one.batches.size(); ++i)
        EXPECT_EQ(several.batches[i].anchors, one.batches[i].anchors) << name_of({stages, replicas});
    }
  }
}

// Two groups per batch, and on two replicas one each.
TEST_F(BatchEditorTest, GivesTheSameBitsHoweverManyGroupsCachesAreKept) {
  const EditorOutcome none = edit("b-eac", {1, 1});
  for (const sharding::Topology& shape : {sharding::Topology{1, 1}, {2, 1}, {4, 1}, {2, 2}}) {
    for (const std::int64_t kept : {1, 2, 100}) {
      kept_groups = kept;
      const EditorOutcome some = edit("b-eac", shape);
      for (const std::int64_t layer : {1, 2})
        EXPECT_TRUE(at::equal(some.weights.at(layer), none.weights.at(layer)))
            << name_of(shape) << ", kept " << kept;
      for (std::size_t i = 0; i < none.batches.size(); ++i)
        EXPECT_EQ(some.batches[i].anchors, none.batches[i].anchors) << name_of(shape) << ", kept " << kept;
    }
  }
}

TEST_P(BatchEditorOfMethod, WithAShareOfSubjectsGivesTheSameBitsInAnyShape) {
  const EditorOutcome text = edit(GetParam(), {1, 1});
  options.subject_share = 0.5;
  const EditorOutcome one = edit(GetParam(), {1, 1}), several = edit(GetParam(), {2, 2});
  for (const std::int64_t layer : {1, 2}) {
    EXPECT_TRUE(at::equal(several.weights.at(layer), one.weights.at(layer))) << layer;
    EXPECT_FALSE(at::equal(one.weights.at(layer), text.weights.at(layer))) << layer;
  }
}

// Prompts of which the edits' own, about subjects that are not edited, are some.
std::vector<io::ProtectedPrompt> kept_prompts() {
  return {{.subject = "Nvidia", .prompt = "The CEO of {} is"},
          {.subject = "Siemens", .prompt = "The CEO of {} is"},
          {.subject = "Paris", .prompt = "{} lies in"},
          {.prompt = "The sun rises in the"}};
}

TEST_P(BatchEditorOfMethod, LeavesAloneWhatTheWeightsMapProtectedKeysTo) {
  protect(kept_prompts());
  const auto kept = std::exchange(protection, std::nullopt);
  ASSERT_EQ(kept->count(), 7);
  const auto effect = [&] {
    const EditorOutcome outcome = edit(GetParam(), {1, 1});
    double sum = 0;
    for (const std::int64_t layer : {1, 2}) {
      const auto change = outcome.weights.at(layer) - read_down_projection(directory, layer);
      sum += at::mm(change, to_tensor(kept->rows(layer, 0, kept->count())).t()).norm().item<double>();
    }
    return sum;
  };
  const double without = effect();
  protection = kept;
  options.protect_weight = 10;
  const double some = effect();
  options.protect_weight = 1e5;
  const double much = effect();
  EXPECT_LT(some, 0.7 * without);
  EXPECT_LT(much, 0.02 * without);
}

TEST_P(BatchEditorOfMethod, WithProtectedKeysGivesTheSameBitsInAnyShapeAndStillWrites) {
  protect(kept_prompts());
  const EditorOutcome one = edit(GetParam(), {1, 1});
  for (const sharding::Topology& shape : {sharding::Topology{1, 3}, {2, 2}, {4, 1}}) {
    const EditorOutcome several = edit(GetParam(), shape);
    for (const std::int64_t layer : {1, 2})
      EXPECT_TRUE(at::equal(several.weights.at(layer), one.weights.at(layer))) << name_of(shape) << " " << layer;
  }
  double before = 0, after = 0;
  for (const BatchResult& batch : one.batches) {
    for (const EditOutcome& outcome : batch.edits) {
      before += outcome.nll_before;
      after += outcome.nll_after;
    }
  }
  EXPECT_LT(after, before);
  protection.reset();
  const EditorOutcome without = edit(GetParam(), {1, 1});
  for (const std::int64_t layer : {1, 2})
    EXPECT_FALSE(at::equal(without.weights.at(layer), one.weights.at(layer))) << layer;
}

TEST_P(BatchEditorOfMethod, MakesTheTargetsMoreProbable) {
  double before = 0, after = 0;
  for (const BatchResult& batch : edit(GetParam(), {1, 1}).batches) {
    for (const EditOutcome& outcome : batch.edits) {
      EXPECT_EQ(outcome.refusal, "");
      before += outcome.nll_before;
      after += outcome.nll_after;
    }
  }
  EXPECT_LT(after, 0.9 * before);
}

TEST_F(BatchEditorTest, TheRecordedUpdatesAreWhatWasAdded) {
  const EditorOutcome outcome = edit("memit_seq", {1, 2});
  for (const std::int64_t layer : {1, 2}) {
    auto weight = read_down_projection(directory, layer);
    for (const BatchResult& batch : outcome.batches) {
      const LayerUpdate& update = batch.layers[static_cast<std::size_t>(layer - 1)];
      EXPECT_NEAR(update.norms.update, at::mm(update.u, update.v.t()).norm().item<double>(), 1e-4);
      weight.addmm_(update.u, update.v.t());
    }
    EXPECT_TRUE(at::equal(weight, outcome.weights.at(layer)));
  }
}

TEST_P(BatchEditorOfMethod, ReplayedBatchesLeaveTheEditorWhereItWasInAnyShape) {
  const EditorOutcome whole = edit(GetParam(), {1, 1});
  for (const sharding::Topology& shape : shapes) {
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      const BatchResult& first = whole.batches.front();
      for (const LayerUpdate& update : first.layers)
        rank.editor.replay(update.layer, update.keys, update.u, update.v);
      for (const io::AnchorRecord& anchors : first.anchors)
        rank.editor.replay_anchors(anchors.layer, anchors.rolling);
      rank.editor.accept();
      const auto edits = seven_edits();
      rank.editor.apply(std::span(edits).subspan(4));
      rank.editor.accept();
      expect_weights(rank.weights, whole, name_of(shape));
    });
  }
}

TEST_P(BatchEditorOfMethod, AnUndoneBatchLeavesNothingBehindInAnyShape) {
  const EditorOutcome whole = edit(GetParam(), {1, 1});
  for (const sharding::Topology& shape : shapes) {
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      const auto edits = seven_edits();
      rank.editor.apply(std::span(edits).subspan(2, 5));
      rank.editor.discard();
      rank.editor.apply(std::span(edits).first(4));
      rank.editor.accept();
      rank.editor.apply(std::span(edits).first(3));
      rank.editor.discard();
      rank.editor.apply(std::span(edits).subspan(4));
      rank.editor.accept();
      expect_weights(rank.weights, whole, name_of(shape));
    });
  }
}

// Written in one shape, each rank the layers that it owns, and read in the next.
TEST_P(BatchEditorOfMethod, ACheckpointOfOneShapeGoesOnInAnother) {
  const EditorOutcome whole = edit(GetParam(), {1, 1});
  const auto edits = seven_edits();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const sharding::Topology &written = shapes[i], &read = shapes[(i + 1) % shapes.size()];
    const auto checkpoint = folder.path() / name_of(written);
    std::filesystem::create_directory(checkpoint);
    on_ranks(GetParam(), written, [&](const EditorRank& rank) {
      rank.editor.apply(std::span(edits).first(4));
      rank.editor.accept();
      CheckpointWriter().begin(rank.editor, {checkpoint, 1, "digest"});
    });
    on_ranks(GetParam(), read, [&](const EditorRank& rank) {
      load_checkpoint(rank.editor, checkpoint, 1);
      for (const io::AnchorRecord& anchors : whole.batches.front().anchors)
        rank.editor.replay_anchors(anchors.layer, anchors.rolling);
      rank.editor.apply(std::span(edits).subspan(4));
      rank.editor.accept();
      expect_weights(rank.weights, whole, name_of(written) + ", then " + name_of(read));
    });
  }
}

// While a checkpoint is written from where it lies, the next batch is computed: it waits beside the state.
TEST_P(BatchEditorOfMethod, ABatchThatWaitsIsInNoCheckpoint) {
  const auto edits = seven_edits();
  std::filesystem::create_directory(folder.path() / "c");
  on_ranks(GetParam(), {1, 1}, [&](const EditorRank& rank) {
    rank.editor.apply(std::span(edits).first(4));
    rank.editor.accept();
    const KeyCovariance& covariance = rank.editor.solver().covariance(1);
    const auto weight = rank.weights.master(1).clone(), inverse = tests::whole_inverse(covariance);
    rank.editor.apply(std::span(edits).subspan(4));
    CheckpointWriter().begin(rank.editor, {folder.path() / "c", 1, "digest"});
    rank.editor.discard();
    load_checkpoint(rank.editor, folder.path() / "c", 1);
    EXPECT_TRUE(at::equal(rank.weights.master(1), weight));
    EXPECT_TRUE(at::equal(tests::whole_inverse(covariance), inverse));
  });
}

// The disk refuses: the run continues without.
TEST_F(BatchEditorTest, ACheckpointThatCannotBeWrittenIsNoError) {
  on_ranks("b-eac", {1, 1}, [&](const EditorRank& rank) {
    EXPECT_NO_THROW(CheckpointWriter().begin(rank.editor, {folder.path() / "nowhere", 1, "digest"}));
  });
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "nowhere"));
}

// The residual that MEMIT leaves of a batch is what a dense solve of the same normal equations leaves.
TEST_F(BatchEditorTest, TheFirstLayersUpdateSolvesTheNormalEquations) {
  const LayerUpdate update = edit("memit_seq", {1, 1}).batches.front().layers.front();
  const auto expected = dense_solution(update.layer, update.keys, update.residuals);
  tests::expect_close(at::mm(update.u, update.v.t()), expected, 1e-5 * expected.abs().max().item<double>());
}

// The journal describes a batch by one set of keys and residuals per layer, also after correction sweeps.
TEST_F(BatchEditorTest, AJointUpdateSolvesTheNormalEquationsOfWhatIsRecorded) {
  for (const int sweeps : {0, 1, 3}) {
    options.correction_sweeps = sweeps;
    const EditorOutcome outcome = edit("b-eac", {1, 2});
    for (const LayerUpdate& update : outcome.batches.front().layers) {
      const auto expected = dense_solution(update.layer, update.keys, update.residuals);
      tests::expect_close(at::mm(update.u, update.v.t()), expected, 1e-5 * expected.abs().max().item<double>());
    }
  }
}

TEST_F(BatchEditorTest, AJointUpdateIsWrittenOnItsAnchorsAlone) {
  const auto first_batch = [&](int sweeps) {
    options.correction_sweeps = sweeps;
    return edit("b-eac", {1, 2}).batches.front();
  };
  const BatchResult batch = first_batch(0), swept = first_batch(1);
  ASSERT_EQ(batch.anchors.size(), 2U);
  const std::int64_t budget = std::llround(options.anchor_ratio.value() * 32);
  auto layers_of_dimension = torch::zeros({4, 32});
  for (std::size_t i = 0; i < 2; ++i) {
    const auto held = batch.layers[i].residuals.ne(0);
    EXPECT_LE(held.sum(1).max().item<std::int64_t>(),
              std::llround(std::ceil(options.las_balance * double(budget) / 2)));
    EXPECT_GT(held.sum().item<std::int64_t>(), 0);
    layers_of_dimension += held;
    const io::SparseRows& chosen = batch.anchors[i].chosen;
    ASSERT_EQ(chosen.offsets.size(), 5U);
    for (std::int64_t edit = 0; edit < 4; ++edit) {
      const auto row = static_cast<std::size_t>(edit);
      const std::set<std::int32_t> anchors(chosen.indices.begin() + chosen.offsets[row],
                                           chosen.indices.begin() + chosen.offsets[row + 1]);
      for (std::int32_t j = 0; j < 32; ++j) {
        EXPECT_TRUE(!held[edit][j].item<bool>() || anchors.contains(j)) << "edit " << edit << ", dimension " << j;
      }
    }
  }
  EXPECT_EQ(layers_of_dimension.max().item<float>(), 1) << "an edit writes a dimension in one layer";
  // The next layer adds to its values what a layer leaves remaining, still only on the edit's anchors.
  EXPECT_TRUE(at::equal(swept.layers[0].residuals, batch.layers[0].residuals));
  const auto taken_up = swept.layers[1].residuals - batch.layers[1].residuals;
  EXPECT_GT(taken_up.abs().max().item<float>(), 0);
  EXPECT_EQ((taken_up * layers_of_dimension.eq(0)).abs().max().item<float>(), 0);
}

TEST_F(BatchEditorTest, CorrectionSweepsBringTheTargetsNearer) {
  options.mom2_update_weight = 20;  // so that one solve reaches only a part of the residual
  const auto nll = [&](int sweeps) {
    options.correction_sweeps = sweeps;
    double sum = 0;
    const EditorOutcome written = edit("b-eac", {1, 1});
    for (const EditOutcome& outcome : written.batches.front().edits) sum += outcome.nll_after;
    return sum;
  };
  const double none = nll(0), one = nll(1);
  EXPECT_LT(one, none);
  EXPECT_LE(nll(4), one);
}

TEST_F(BatchEditorTest, EveryPartOfBEacCanBeSwitchedOff) {
  const auto weight = [&] { return edit("b-eac", {1, 1}).weights.at(1); };
  const auto whole = weight();
  options.las = false;
  const auto without_selection = weight();
  options.las = true;
  options.rar = false;
  const auto without_refresh = weight();
  options.anchors = false;
  const auto without_anchors = weight();
  EXPECT_FALSE(at::equal(without_selection, whole));
  EXPECT_FALSE(at::equal(without_refresh, whole));
  EXPECT_FALSE(at::equal(without_anchors, whole));
  EXPECT_FALSE(at::equal(without_anchors, without_selection));
}

}  // namespace
}  // namespace anchorage::worker
