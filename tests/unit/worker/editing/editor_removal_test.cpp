// Removes edits from what the methods themselves have written.
#include <gtest/gtest.h>

#include <mutex>

#include "io/error.hpp"
#include "tests/unit/worker/editing/editor_test.hpp"
#include "worker/editing/update/removal.hpp"

namespace anchorage::worker {
namespace {

using tests::EditorOutcome;
using tests::EditorRank;
using tests::name_of;
using tests::seven_edits;

class EditorRemoval : public tests::EditorTest, public testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Methods, EditorRemoval, tests::every_method(),
                         [](const auto& method) { return tests::name_of(method); });

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

// Three batches, edits 0 to 2, 3 to 5 and 6, each written as a segment; returns the removal of edits 1 and 5.
// `watch` is given a function that applies the next batch.
template <class Watch>
sharding::Removal three_batches(const std::filesystem::path& segments, const EditorRank& rank, const Watch& watch) {
  const auto edits = seven_edits();
  sharding::Removal request{.edits = {{.id = "1", .segment = 1, .edit = 1}, {.id = "2", .segment = 2, .edit = 2}},
                            .live = {}};
  for (const auto& [begin, count] : {std::pair{0U, 3U}, {3U, 3U}, {6U, 1U}}) {
    watch([&] {
      BatchResult result = rank.editor.apply(std::span(edits).subspan(begin, count));
      rank.editor.accept();
      const std::int64_t number = std::ssize(request.live) + 1;
      if (rank.is_root()) write_batch(segments, number, result);
      request.live.push_back((segments / io::segment_file_name(number)).string());
      return result;
    });
  }
  rank.world.barrier("wait for the segments");
  return request;
}

// After three batches of the real method, edits 1 and 5 (of the first two batches) are removed.
TEST_P(EditorRemoval, ARemovalEqualsTheDenseSolutionThatNeverHadTheEdits) {
  on_ranks(GetParam(), {1, 1}, [&](const EditorRank& rank) {
    std::map<std::int64_t, FixedTargets> fixed;
    const auto change = [&](std::int64_t layer) { return rank.weights.master(layer) - rank.weights.base(layer); };
    const sharding::Removal request = three_batches(folder.path(), rank, [&](const auto& apply) {
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
    rank.editor.accept();
    EXPECT_GT((change(1) - with).norm().item<double>(), 1e-3 * with.norm().item<double>());
    if (method_named(GetParam()).update_transform == UpdateTransform::null_space)
      return;  // removal_test has a dense reference for that one
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
TEST_P(EditorRemoval, ARemovalAndTheBatchBehindItAreTheSameBitsInAnyShape) {
  if (!method_named(GetParam()).carries_keys) GTEST_SKIP() << GetParam() << " cannot take an edit out";
  const auto removed = [&](const sharding::Topology& shape) {
    const auto segments = folder.path() / name_of(shape);
    std::filesystem::create_directory(segments);
    std::pair<EditorOutcome, std::vector<LayerRemoval>> found;
    std::mutex mutex;
    on_ranks(GetParam(), shape, [&](const EditorRank& rank) {
      const sharding::Removal request = three_batches(segments, rank, [](const auto& apply) { apply(); });
      sharding::BatchSeconds seconds;
      auto removals = rank.editor.remove(request, seconds);
      const auto edits = seven_edits();
      rank.editor.apply(
          std::span(edits).first(2));  // with the removal still waiting, as where edits are superseded
      rank.editor.accept();
      const std::scoped_lock lock(mutex);
      if (rank.is_root()) found.second = std::move(removals);
      found.first.keep(rank.weights);
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

}  // namespace
}  // namespace anchorage::worker
