// Batches on one, two and three ranks, as threads of this process.
#include "worker/editing/batch_editor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "io/error.hpp"
#include "io/statistics_file.hpp"
#include "sharding/collective/thread_communicator.hpp"
#include "tests/temporary_directory.hpp"
#include "tests/unit/worker/golden_model.hpp"
#include "tests/unit/worker/stage_world.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {
namespace {

io::Hparams hparams() {
  io::Hparams hparams;
  hparams.layers = {1, 2};
  hparams.v_loss_layer = 3;
  hparams.v_num_grad_steps = 15;
  hparams.v_lr = 0.2;
  hparams.clamp_norm_factor = 20;
  hparams.v_weight_decay = 1e-3;  // the residual stream of these models is short
  hparams.contexts = 2;
  hparams.group = 2;
  hparams.mom2_update_weight = 0.5;
  hparams.eac_locate_steps = 8;
  hparams.eac_compress_steps = 12;
  hparams.eac_anchor_ratio = 0.5;
  hparams.nullspace_threshold = 1e-2;
  hparams.L2 = 1e-3;
  hparams.las_capacity = 3;
  return hparams;
}

std::vector<io::Edit> seven_edits() {
  std::vector<io::Edit> edits;
  for (const char* name : {"Boeing", "Nike", "Intel", "Starbucks", "Alphabet", "Unilever", "Novartis"}) {
    edits.push_back(
        {.id = name, .subject = name, .prompt = "The CEO of {} is", .target = std::string("Mr ") + name[1]});
  }
  return edits;
}

// Statistics of the model's keys on random tokens.
io::StatisticsFile statistics_in(const std::filesystem::path& path, const io::ModelDirectory& directory) {
  torch::manual_seed(5);
  const Transformer model = load_transformer(directory);
  const auto drawn = torch::randint(3, model.config.vocabulary, {1000}, torch::kInt32);
  std::vector<TokenIds> rows;
  for (const int* id = drawn.data_ptr<int>(); id != drawn.data_ptr<int>() + 1000; id += 20)
    rows.emplace_back(id, id + 20);
  const ForwardPass pass(model, lay_out(rows, {}, torch::kCPU));
  io::Statistics statistics;
  statistics.fingerprint = {
      .model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 20};
  statistics.tokens = 1000;
  for (const std::int64_t layer : {1, 2}) {
    const auto keys = pass.block(layer, pass.blocks(0, layer, pass.embed())).key;
    statistics.moments.push_back({layer, to_matrix(at::mm(keys.t(), keys) / 1000)});
  }
  io::save_statistics(path, statistics);
  return io::StatisticsFile::load(path);
}

struct Outcome {
  std::map<std::int64_t, torch::Tensor> weights;
  std::vector<BatchResult> batches;  // rank 0's
};

class BatchEditorTest : public testing::Test {
 protected:
  // Both batches on so many ranks; `work` may replace them.
  Outcome edit(const std::string& method, const sharding::Topology& topology, std::size_t batch_size = 4) {
    Outcome outcome;
    std::mutex mutex;
    const auto worlds = sharding::thread_world(topology.size());
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < topology.size(); ++rank) {
      threads.emplace_back([&, rank] {
        torch::set_num_threads(1);
        auto& host = *worlds[static_cast<std::size_t>(rank)];
        auto groups = sharding::form_rank_groups(host, topology, torch::kCPU);
        const Stages stages(tests::even_stages(4, topology.stages()), *groups.replica);
        Transformer model =
            load_transformer(directory, {.device = torch::kCPU, .dtype = std::nullopt, .stages = stages});
        EditedWeights weights(model, directory, {1, 2});
        const PromptBuilder prompts(tokenizer);
        BatchEditor editor(model, weights, prompts, options, method_named(method), statistics,
                           {.prefixes = {"", "It was said", "I know"}, .wanted = 2}, limits, {groups, host});
        const auto edits = seven_edits();
        for (std::size_t begin = 0; begin < edits.size(); begin += batch_size) {
          const auto count = std::min(batch_size, edits.size() - begin);
          auto result = editor.apply(std::span(edits).subspan(begin, count));
          if (rank == 0) outcome.batches.push_back(std::move(result));
        }
        const std::scoped_lock lock(mutex);
        for (const std::int64_t layer : {1, 2}) {
          if (!weights.holds(layer)) continue;
          const auto [held, fresh] = outcome.weights.try_emplace(layer, weights.master(layer).clone());
          EXPECT_TRUE(fresh || at::equal(held->second, weights.master(layer))) << "replicas differ in " << layer;
        }
      });
    }
    threads.clear();
    return outcome;
  }

  // One rank in this thread.
  void with_editor(const std::string& method,
                   const std::function<void(BatchEditor& editor, const EditedWeights& weights)>& work) {
    const auto worlds = sharding::thread_world(1);
    const auto device = sharding::make_device_communicator(*worlds.front(), torch::kCPU);
    torch::set_num_threads(1);
    Transformer model = load_transformer(directory);
    EditedWeights weights(model, directory, {1, 2});
    const PromptBuilder prompts(tokenizer);
    BatchEditor editor(model, weights, prompts, options, method_named(method), statistics,
                       {.prefixes = {"", "It was said", "I know"}, .wanted = 2}, limits,
                       {*worlds.front(), *device});
    work(editor, weights);
  }

  const tests::TemporaryDirectory folder;
  const io::ModelDirectory directory = tests::golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const io::StatisticsFile statistics = statistics_in(folder.path() / "s.h5", directory);
  SinkLimits limits = torch::full({2}, 1e9);
  io::Hparams options = hparams();
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

TEST_P(BatchEditorOfMethod, ReplayedBatchesLeaveTheEditorWhereItWas) {
  const Outcome whole = edit(GetParam(), {1, 1});
  with_editor(GetParam(), [&](BatchEditor& editor, const EditedWeights& weights) {
    const BatchResult& first = whole.batches.front();
    for (const LayerUpdate& update : first.layers) editor.replay(update.layer, update.keys, update.u, update.v);
    for (const io::AnchorRecord& anchors : first.anchors) editor.replay_anchors(anchors.layer, anchors.rolling);
    const auto edits = seven_edits();
    editor.apply(std::span(edits).subspan(4));
    for (const std::int64_t layer : {1, 2}) EXPECT_TRUE(at::equal(weights.master(layer), whole.weights.at(layer)));
  });
}

TEST_P(BatchEditorOfMethod, AnUndoneBatchLeavesNothingBehind) {
  const Outcome whole = edit(GetParam(), {1, 1});
  with_editor(GetParam(), [&](BatchEditor& editor, const EditedWeights& weights) {
    const auto edits = seven_edits();
    const BatchEditor::State untouched = editor.state();
    editor.apply(std::span(edits).subspan(2, 5));
    editor.restore(untouched);
    editor.apply(std::span(edits).first(4));
    const BatchEditor::State between = editor.state();
    editor.apply(std::span(edits).first(3));
    editor.restore(between);
    editor.apply(std::span(edits).subspan(4));
    for (const std::int64_t layer : {1, 2}) EXPECT_TRUE(at::equal(weights.master(layer), whole.weights.at(layer)));
  });
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
  const BatchResult batch = edit("b-eac", {1, 2}).batches.front();
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
std::filesystem::path write_batch(const std::filesystem::path& folder, std::int64_t number,
                                  const BatchResult& result) {
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
  return folder / io::segment_file_name(number);
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

// Behind three batches of the real method, edits 1 and 5 (of the first two batches) are taken out again.
TEST_P(BatchEditorOfMethod, ARemovalEqualsTheDenseSolutionThatNeverHadTheEdits) {
  with_editor(GetParam(), [&](BatchEditor& editor, const EditedWeights& weights) {
    const auto edits = seven_edits();
    RemovalRequest request{.edits = {{.id = "1", .segment = 1, .edit = 1}, {.id = "2", .segment = 2, .edit = 2}},
                           .standing = {}};
    std::map<std::int64_t, FixedTargets> fixed;
    const auto change = [&](std::int64_t layer) { return weights.master(layer) - weights.base(layer); };
    for (const auto& [begin, count] : {std::pair{0, 3}, {3, 3}, {6, 1}}) {
      std::map<std::int64_t, torch::Tensor> before;
      for (const std::int64_t layer : {1, 2}) before[layer] = change(layer).clone();
      const BatchResult result =
          editor.apply(std::span(edits).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)));
      for (const LayerUpdate& update : result.layers) fixed[update.layer].add(update, before.at(update.layer));
      request.standing.push_back(write_batch(folder.path(), std::ssize(request.standing) + 1, result));
    }
    sharding::BatchSeconds seconds;
    if (!method_named(GetParam()).carries_keys) {
      EXPECT_THROW(editor.remove(request, seconds), io::UserError);
      return;
    }
    const auto with = change(1).clone();
    editor.remove(request, seconds);
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

}  // namespace
}  // namespace anchorage::worker
