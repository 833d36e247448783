// Batches on one to four ranks, as threads of this process.
#include "worker/editing/batch_editor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <set>

#include "io/error.hpp"
#include "tests/unit/worker/editor_test.hpp"
#include "worker/checkpoint_writer.hpp"

namespace anchorage::worker {
namespace {

using tests::EditorRank;
using tests::name_of;
using tests::seven_edits;
using tests::shapes;

struct Outcome {
  std::map<std::int64_t, torch::Tensor> weights;
  std::vector<BatchResult> batches;  // rank 0's
};

class BatchEditorTest : public tests::EditorTest {
 protected:
  // Both batches on so many ranks.
  Outcome edit(const std::string& method, const sharding::Topology& topology, std::size_t batch_size = 4) {
    Outcome outcome;
    std::mutex mutex;
    on_ranks(method, topology, [&](const EditorRank& rank) {
      const auto edits = seven_edits();
      for (std::size_t begin = 0; begin < edits.size(); begin += batch_size) {
        const auto count = std::min(batch_size, edits.size() - begin);
        auto result = rank.editor.apply(std::span(edits).subspan(begin, count));
        if (rank.is_root()) outcome.batches.push_back(std::move(result));
      }
      const std::scoped_lock lock(mutex);
      keep_weights(outcome, rank.weights);
    });
    return outcome;
  }

  // What this rank holds, which is what every other holds of it.
  static void keep_weights(Outcome& outcome, const EditedWeights& weights) {
    for (const std::int64_t layer : {1, 2}) {
      if (!weights.holds(layer)) continue;
      const auto [held, fresh] = outcome.weights.try_emplace(layer, weights.master(layer).clone());
      EXPECT_TRUE(fresh || at::equal(held->second, weights.master(layer))) << "replicas differ in " << layer;
    }
  }

  // Each rank holds of these weights what it should.
  static void expect_weights(const EditedWeights& weights, const Outcome& expected, const std::string& where) {
    for (const std::int64_t layer : {1, 2}) {
      if (!weights.holds(layer)) continue;
      EXPECT_TRUE(at::equal(weights.master(layer), expected.weights.at(layer))) << where << ", layer " << layer;
    }
  }
};

class BatchEditorOfMethod : public BatchEditorTest, public testing::WithParamInterface<std::string> {};

TEST_P(BatchEditorOfMethod, GivesTheSameBitsOnOneToFourRanksInAnyShape) {
  const Outcome one = edit(GetParam(), {1, 1});
  for (const auto& [stages, replicas] : {std::pair{1, 2}, {2, 1}, {1, 3}, {3, 1}, {2, 2}, {4, 1}}) {
    const Outcome several = edit(GetParam(), {stages, replicas});
    for (const std::int64_t layer : {1, 2}) {
      EXPECT_TRUE(at::equal(several.weights.at(layer), one.weights.at(layer)))
          << stages << " stages x " << replicas << " replicas, layer " << layer;
      EXPECT_FALSE(at::equal(one.weights.at(layer), read_down_projection(directory, layer)));
    }
    for (std::size_t i = 0; i < one.batches.size(); ++i)
      EXPECT_EQ(several.batches[i].anchors, one.batches[i].anchors) << name_of({stages, replicas});
  }
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

INSTANTIATE_TEST_SUITE_P(Methods, BatchEditorOfMethod,
                         testing::Values("memit", "memit_seq", "eac", "alphaedit", "b-eac"), [](const auto& name) {
                           return name.param == "b-eac" ? std::string("b_eac") : name.param;
                         });

TEST_F(BatchEditorTest, TheRecordedUpdatesAreWhatWasAdded) {
  const Outcome outcome = edit("memit_seq", {1, 2});
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
  const Outcome whole = edit(GetParam(), {1, 1});
  for (const sharding::Topology& shape : shapes) {
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      const BatchResult& first = whole.batches.front();
      for (const LayerUpdate& update : first.layers)
        rank.editor.replay(update.layer, update.keys, update.u, update.v);
      for (const io::AnchorRecord& anchors : first.anchors)
        rank.editor.replay_anchors(anchors.layer, anchors.rolling);
      const auto edits = seven_edits();
      rank.editor.apply(std::span(edits).subspan(4));
      expect_weights(rank.weights, whole, name_of(shape));
    });
  }
}

TEST_P(BatchEditorOfMethod, AnUndoneBatchLeavesNothingBehindInAnyShape) {
  const Outcome whole = edit(GetParam(), {1, 1});
  for (const sharding::Topology& shape : shapes) {
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      const auto edits = seven_edits();
      const BatchEditor::State untouched = rank.editor.state();
      rank.editor.apply(std::span(edits).subspan(2, 5));
      rank.editor.restore(untouched);
      rank.editor.apply(std::span(edits).first(4));
      const BatchEditor::State between = rank.editor.state();
      rank.editor.apply(std::span(edits).first(3));
      rank.editor.restore(between);
      rank.editor.apply(std::span(edits).subspan(4));
      expect_weights(rank.weights, whole, name_of(shape));
    });
  }
}

// Written in one shape, each rank the layers that it owns, and read in the next.
TEST_P(BatchEditorOfMethod, ACheckpointOfOneShapeGoesOnInAnother) {
  const Outcome whole = edit(GetParam(), {1, 1});
  const auto edits = seven_edits();
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const sharding::Topology &written = shapes[i], &read = shapes[(i + 1) % shapes.size()];
    const auto checkpoint = folder.path() / name_of(written);
    std::filesystem::create_directory(checkpoint);
    on_ranks(GetParam(), written, [&](const EditorRank& rank) {
      rank.editor.apply(std::span(edits).first(4));
      CheckpointWriter().begin(rank.editor, checkpoint, 1, "digest");
    });
    on_ranks(GetParam(), read, [&](const EditorRank& rank) {
      load_checkpoint(rank.editor, checkpoint, 1);
      for (const io::AnchorRecord& anchors : whole.batches.front().anchors)
        rank.editor.replay_anchors(anchors.layer, anchors.rolling);
      rank.editor.apply(std::span(edits).subspan(4));
      expect_weights(rank.weights, whole, name_of(written) + ", then " + name_of(read));
    });
  }
}

// The disk refuses: the run goes on without.
TEST_F(BatchEditorTest, ACheckpointThatCannotBeWrittenIsNoError) {
  on_ranks("b-eac", {1, 1}, [&](const EditorRank& rank) {
    EXPECT_NO_THROW(CheckpointWriter().begin(rank.editor, folder.path() / "nowhere", 1, "digest"));
  });
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "nowhere"));
}

// The residual that MEMIT leaves of a batch is what a dense solve of the same normal equations leaves.
TEST_F(BatchEditorTest, TheFirstLayersUpdateSolvesTheNormalEquations) {
  const LayerUpdate update = edit("memit_seq", {1, 1}).batches.front().layers.front();
  const auto keys = update.keys.t().to(torch::kDouble), residuals = update.residuals.t().to(torch::kDouble);
  const auto c = to_tensor(statistics.moment(1).moment).to(torch::kDouble);
  const auto system = options.mom2_update_weight * c + at::mm(keys, keys.t());
  const auto expected = at::linalg_solve(system, at::mm(keys, residuals.t())).t();
  tests::expect_close(at::mm(update.u, update.v.t()), expected, 1e-5 * expected.abs().max().item<double>());
}

// The journal tells a batch by one set of keys and residuals a layer, also behind correction sweeps.
TEST_F(BatchEditorTest, AJointUpdateSolvesTheNormalEquationsOfWhatIsRecorded) {
  for (const int sweeps : {0, 1, 3}) {
    options.correction_sweeps = sweeps;
    const Outcome outcome = edit("b-eac", {1, 2});
    for (const LayerUpdate& update : outcome.batches.front().layers) {
      const auto keys = update.keys.t().to(torch::kDouble), residuals = update.residuals.t().to(torch::kDouble);
      const auto c = to_tensor(statistics.moment(update.layer).moment).to(torch::kDouble);
      const auto system = options.mom2_update_weight * c + at::mm(keys, keys.t());
      const auto expected = at::linalg_solve(system, at::mm(keys, residuals.t())).t();
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
  // What a layer leaves undone the next one takes up: on the edit's anchors all the same.
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
    const Outcome written = edit("b-eac", {1, 1});
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

// In models without a start token the first position collects attention: editing there destroys the model.
TEST_F(BatchEditorTest, AnEditThatIsAnAttentionSinkInEveryContextIsSetAside) {
  limits = torch::full({2}, 1e-9);
  const Outcome outcome = edit("memit_seq", {1, 2});
  for (const BatchResult& batch : outcome.batches) {
    EXPECT_TRUE(batch.layers.empty());
    for (const EditOutcome& edit : batch.edits) EXPECT_NE(edit.refusal.find("attention sink"), std::string::npos);
  }
  EXPECT_TRUE(at::equal(outcome.weights.at(1), read_down_projection(directory, 1)));
}

// A batch whose edits were all written, as the journal keeps it.
void write_batch(const std::filesystem::path& folder, std::int64_t number, const BatchResult& result) {
  io::BatchSegment segment;
  segment.header.batch = number;
  for (std::size_t i = 0; i < result.edits.size(); ++i)
    segment.edits.push_back({.id = std::to_string(i), .request = "{}", .reason = {}});
  for (const LayerUpdate& update : result.layers) {
    io::LayerRecord record{.layer = update.layer,
                           .keys = to_matrix(update.keys),
                           .residuals = {},
                           .u = to_matrix(update.u),
                           .v = to_matrix(update.v),
                           .edit_of_column = {},
                           .norms = {}};
    for (std::int32_t edit = 0; edit < update.residuals.size(0); ++edit) {
      record.edit_of_column.push_back(edit);
      for (std::int32_t j = 0; j < update.residuals.size(1); ++j) {
        const auto value = update.residuals[edit][j].item<float>();
        if (value == 0) continue;
        record.residuals.indices.push_back(j);
        record.residuals.values.push_back(value);
      }
      record.residuals.offsets.push_back(std::ssize(record.residuals.values));
    }
    segment.layers.push_back(std::move(record));
  }
  io::write_segment(folder, segment);
}

// What a run of these keys and targets alone, in one dense solve, adds to the base weight of a layer.
struct FixedTargets {
  torch::Tensor keys;     // [n, f] f64
  torch::Tensor targets;  // [n, d] f64, less what the base weight gives

  void add(const LayerUpdate& update, const torch::Tensor& change) {
    const auto k = update.keys.to(torch::kDouble);
    const auto t = at::mm(k, change.to(torch::kDouble).t()) + update.residuals.to(torch::kDouble);
    keys = keys.defined() ? at::cat({keys, k}) : k;
    targets = targets.defined() ? at::cat({targets, t}) : t;
  }
  torch::Tensor solved_without(const std::vector<std::int64_t>& gone, const torch::Tensor& metric) const {
    std::vector<std::int64_t> left;
    for (std::int64_t i = 0; i < keys.size(0); ++i) {
      if (std::ranges::count(gone, i) == 0) left.push_back(i);
    }
    const auto k = keys.index_select(0, torch::tensor(left)).t(),
               t = targets.index_select(0, torch::tensor(left)).t();
    return at::linalg_solve(metric + at::mm(k, k.t()), at::mm(k, t.t())).t();
  }
};

// Three batches, edits 0 to 2, 3 to 5 and 6, each written as a segment; and what asks to take edits 1 and 5 out
// again. `watch` is given a function that applies the next batch.
template <class Watch>
RemovalRequest three_batches(const std::filesystem::path& segments, const EditorRank& rank, const Watch& watch) {
  const auto edits = seven_edits();
  RemovalRequest request{.edits = {{.id = "1", .segment = 1, .edit = 1}, {.id = "2", .segment = 2, .edit = 2}},
                         .standing = {}};
  for (const auto& [begin, count] : {std::pair{0U, 3U}, {3U, 3U}, {6U, 1U}}) {
    watch([&] {
      BatchResult result = rank.editor.apply(std::span(edits).subspan(begin, count));
      const std::int64_t number = std::ssize(request.standing) + 1;
      if (rank.is_root()) write_batch(segments, number, result);
      request.standing.push_back(segments / io::segment_file_name(number));
      return result;
    });
  }
  rank.world.barrier("wait for the segments");
  return request;
}

// Behind three batches of the real method, edits 1 and 5 (of the first two batches) are taken out again.
TEST_P(BatchEditorOfMethod, ARemovalEqualsTheDenseSolutionThatNeverHadTheEdits) {
  on_ranks(GetParam(), {1, 1}, [&](const EditorRank& rank) {
    std::map<std::int64_t, FixedTargets> fixed;
    const auto change = [&](std::int64_t layer) { return rank.weights.master(layer) - rank.weights.base(layer); };
    const RemovalRequest request = three_batches(folder.path(), rank, [&](const auto& apply) {
      std::map<std::int64_t, torch::Tensor> before;
      for (const std::int64_t layer : {1, 2}) before[layer] = change(layer).clone();
      for (const LayerUpdate& update : apply().layers) fixed[update.layer].add(update, before.at(update.layer));
    });
    sharding::BatchSeconds seconds;
    if (!method_named(GetParam()).carries_keys) {
      EXPECT_THROW(rank.editor.remove(request, seconds), io::UserError);
      return;
    }
    const auto with = change(1).clone();
    rank.editor.remove(request, seconds);
    EXPECT_GT((change(1) - with).norm().item<double>(), 1e-3 * with.norm().item<double>());
    if (method_named(GetParam()).null_space) return;  // removal_test has a dense reference for that one
    for (const std::int64_t layer : {1, 2}) {
      const auto metric =
          options.mom2_update_weight * to_tensor(statistics.moment(layer).moment).to(torch::kDouble);
      const auto expected = fixed.at(layer).solved_without({1, 5}, metric);
      const double error = ((change(layer).to(torch::kDouble) - expected).norm() / expected.norm()).item<double>();
      EXPECT_LT(error, 1e-5) << "layer " << layer;
    }
  });
}

// What is journaled of a removal, and what a later batch finds, do not depend on who holds which layer.
TEST_P(BatchEditorOfMethod, ARemovalAndTheBatchBehindItAreTheSameBitsInAnyShape) {
  if (!method_named(GetParam()).carries_keys) GTEST_SKIP() << GetParam() << " cannot take an edit out";
  const auto removed = [&](const sharding::Topology& shape) {
    const auto segments = folder.path() / name_of(shape);
    std::filesystem::create_directory(segments);
    std::pair<Outcome, std::vector<LayerRemoval>> found;
    std::mutex mutex;
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      const RemovalRequest request = three_batches(segments, rank, [](const auto& apply) { apply(); });
      sharding::BatchSeconds seconds;
      auto removals = rank.editor.remove(request, seconds);
      const auto edits = seven_edits();
      rank.editor.apply(std::span(edits).first(2));
      const std::scoped_lock lock(mutex);
      if (rank.is_root()) found.second = std::move(removals);
      keep_weights(found.first, rank.weights);
    });
    return found;
  };
  const auto one = removed({1, 1});
  ASSERT_EQ(one.second.size(), 2U);
  for (const sharding::Topology& shape : {sharding::Topology{2, 1}, {2, 2}}) {
    SCOPED_TRACE(name_of(shape));
    const auto several = removed(shape);
    ASSERT_EQ(several.second.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      const LayerRemoval &found = several.second[i], &expected = one.second[i];
      EXPECT_TRUE(at::equal(found.keys, expected.keys));
      EXPECT_TRUE(at::equal(found.u, expected.u));
      EXPECT_TRUE(at::equal(found.v, expected.v));
      EXPECT_EQ(found.norms.total, expected.norms.total);
      EXPECT_TRUE(at::equal(several.first.weights.at(found.layer), one.first.weights.at(found.layer)));
    }
  }
}

// The groups of edits that can be written are {0, 1} and {2}, with the others and without.
TEST_P(BatchEditorOfMethod, EditsThatCannotBeWrittenAreRefusedAloneInAnyShape) {
  auto edits = seven_edits();
  edits.resize(5);
  for (int i = 0; i < 300; ++i) edits[3].prompt += " x";
  edits[4].prompt = "The CEO</s> of {} is";  // a special token decodes to nothing
  const auto applied = [&](const sharding::Topology& shape, std::size_t count) {
    Outcome outcome;
    std::mutex mutex;
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      auto result = rank.editor.apply(std::span(edits).first(count));
      const std::scoped_lock lock(mutex);
      if (rank.is_root()) outcome.batches.push_back(std::move(result));
      keep_weights(outcome, rank.weights);
    });
    return outcome;
  };
  const Outcome without = applied({1, 1}, 3);
  for (const sharding::Topology& shape : shapes) {
    SCOPED_TRACE(name_of(shape));
    const Outcome with = applied(shape, 5);
    const auto& outcomes = with.batches.front().edits;
    ASSERT_EQ(outcomes.size(), 5U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(outcomes[i].refusal, "");
      EXPECT_EQ(outcomes[i].nll_before, without.batches.front().edits[i].nll_before);
      EXPECT_EQ(outcomes[i].nll_after, without.batches.front().edits[i].nll_after);
    }
    EXPECT_NE(outcomes[3].refusal.find("at most 128 positions"), std::string::npos) << outcomes[3].refusal;
    EXPECT_TRUE(std::isnan(outcomes[3].nll_before) && std::isnan(outcomes[3].nll_after));
    EXPECT_FALSE(outcomes[3].match_before || outcomes[3].match_after);
    EXPECT_NE(outcomes[4].refusal.find("'The CEO</s> of Alphabet is'"), std::string::npos) << outcomes[4].refusal;
    EXPECT_TRUE(std::isfinite(outcomes[4].nll_before) && std::isfinite(outcomes[4].nll_after));
    for (const std::int64_t layer : {1, 2})
      EXPECT_TRUE(at::equal(with.weights.at(layer), without.weights.at(layer))) << layer;
  }
}

// A model with a table of positions, and one that rotates by them.
TEST_F(BatchEditorTest, ContextsBehindWhichAPromptIsTooLongAreNotUsed) {
  const torch::NoGradGuard no_gradients;
  const PromptBuilder prompts(tokenizer);
  io::Edit edit = seven_edits().front();
  const auto fits = [&](const io::Edit& one) {
    return prompts.build(one, std::vector<std::string>{""}, "", 128).rewrites.front().is_usable();
  };
  for (io::Edit longer = edit; fits(longer); longer.prompt += " x") edit = longer;
  for (const char* name : {"gpt2", "llama_tied"}) {
    const Transformer model = load_transformer(tests::golden_model(name).directory);
    const auto value_in = [&](const Contexts& contexts) {
      EditGroup group(model, prompts, contexts, limits, options, {edit});
      EXPECT_EQ(group.refusals().front(), "");
      EditGroup::find_values(std::span(&group, 1), /*anchored=*/false);
      return group.values();
    };
    const auto bare = value_in({.prefixes = {""}, .wanted = 1});
    EXPECT_EQ(bare.size(0), 1);
    EXPECT_TRUE(at::equal(value_in({.prefixes = {"", "It was said"}, .wanted = 2}), bare)) << name;
  }
}

// One answer of the last stage serves all groups that are under way; one after the other, each would wait for its
// own.
TEST_F(BatchEditorTest, StagesHaveSeveralGroupsUnderWay) {
  options.early_stop_loss = 0;
  const auto all = seven_edits();
  const auto waits = [&](int group) {
    options.group = group;
    std::int64_t calls = 0;
    on_ranks("b-eac", {2, 1}, [&](const EditorRank& rank) {
      (void)rank.editor.apply(std::span(all).first(4));
      if (rank.is_root()) calls = rank.replica.traffic().at("share losses").calls;
    });
    return calls;
  };
  EXPECT_EQ(waits(1), waits(4));
}

}  // namespace
}  // namespace anchorage::worker
