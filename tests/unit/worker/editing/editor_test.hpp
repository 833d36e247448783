// A batch editor on a small random model, on ranks that are threads of this process.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "io/statistics/statistics_file.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/forward.hpp"
#include "worker/runtime.hpp"
#include "worker/statistics/protected_keys.hpp"

namespace anchorage::tests {

inline io::Hparams editor_hparams() {
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

inline std::vector<io::Edit> seven_edits() {
  std::vector<io::Edit> edits;
  for (const char* name : {"Boeing", "Nike", "Intel", "Starbucks", "Alphabet", "Unilever", "Novartis"}) {
    edits.push_back(
        {.id = name, .subject = name, .prompt = "The CEO of {} is", .target = std::string("Mr ") + name[1]});
  }
  return edits;
}

// Statistics of the model's keys on random tokens; those of subjects are of every fifth token.
inline io::StatisticsFile statistics_in(const std::filesystem::path& path, const io::ModelDirectory& directory) {
  torch::manual_seed(5);
  const worker::Transformer model = worker::load_transformer(directory);
  const auto drawn = torch::randint(3, model.config.vocabulary, {1000}, torch::kInt32);
  std::vector<worker::TokenIds> rows;
  for (const int* id = drawn.data_ptr<int>(); id != drawn.data_ptr<int>() + 1000; id += 20)
    rows.emplace_back(id, id + 20);
  const worker::ForwardPass pass(model, worker::lay_out(rows, {}, torch::kCPU));
  io::Statistics statistics;
  statistics.fingerprint = {
      .model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 20};
  statistics.tokens = 1000;
  std::vector<io::SecondMoment> of_subjects;
  for (const std::int64_t layer : {0, 1, 2}) {
    const auto keys = pass.block(layer, pass.blocks(0, layer, pass.embed())).key;
    statistics.moments.push_back({layer, worker::to_matrix(at::mm(keys.t(), keys) / 1000)});
    const auto fifth = keys.slice(0, 0, std::nullopt, 5);
    of_subjects.push_back({layer, worker::to_matrix(at::mm(fifth.t(), fifth) / 200)});
  }
  io::save_statistics(path, statistics);
  io::SubjectMomentsWriter writer(path, {.list = "l", .rows = 200});
  for (const io::SecondMoment& moment : of_subjects) writer.add(moment);
  writer.commit();
  return io::StatisticsFile::load(path);
}

// What one rank works with.
struct EditorRank {
  worker::BatchEditor& editor;
  const worker::EditedWeights& weights;
  const worker::Probes& probes;
  sharding::HostCommunicator& world;
  const sharding::DeviceCommunicator& replica;

  bool is_root() const { return world.rank() == 0; }
};

// What some batches leave.
struct EditorOutcome {
  std::map<std::int64_t, torch::Tensor> weights;  // masters of the edited layers
  std::vector<worker::BatchResult> batches;       // rank 0's

  // Adds what this rank holds, which is what every other holds of it.
  void keep(const worker::EditedWeights& held) {
    for (const std::int64_t layer : {1, 2}) {
      if (!held.holds(layer)) continue;
      const auto [found, fresh] = weights.try_emplace(layer, held.master(layer).clone());
      EXPECT_TRUE(fresh || at::equal(found->second, held.master(layer))) << "replicas differ in " << layer;
    }
  }
};

class EditorTest : public testing::Test {
 protected:
  explicit EditorTest(const std::string& model = "llama_tied") : directory(golden_model(model).directory) {}

  // `work` on every rank of the topology at once.
  void on_ranks(const std::string& method, const sharding::Topology& topology,
                const std::function<void(const EditorRank&)>& work) {
    const auto body = [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      auto groups = sharding::form_rank_groups(world, topology, torch::kCPU);
      const worker::Stages stages(cut_stages(4, topology.stages(), cut, 1), *groups.replica);
      worker::Transformer model =
          worker::load_transformer(directory, {.device = torch::kCPU, .dtype = std::nullopt, .stages = stages});
      worker::EditedWeights weights(model, directory, {options.layers.begin(), options.layers.end()});
      const worker::PromptBuilder prompts(tokenizer);
      worker::BatchEditor editor(model, weights, prompts, options, worker::method_named(method), statistics,
                                 {.prefixes = {"", "It was said", "I know"}, .wanted = 2}, limits, {groups, world},
                                 {.capacities = {}, .most_rows = most_slab_rows}, protection, kept_groups);
      const worker::LossProbe loss(model, prompts, {groups, world});
      const worker::CanaryProbe asked(model, prompts, canaries);
      const worker::ModelQuestions questions(model, prompts, {groups, world});
      const worker::Probes probes{.loss = loss, .canaries = asked, .questions = questions};
      work({editor, weights, probes, world, *groups.replica});
    };
    tests::run_thread_world(topology.size(), body, deadline);
  }

  // Batches of `batch_size`.
  EditorOutcome edit(const std::string& method, const sharding::Topology& topology,
                     const std::vector<io::Edit>& edits = seven_edits(), std::size_t batch_size = 4) {
    EditorOutcome outcome;
    std::mutex mutex;
    on_ranks(method, topology, [&](const EditorRank& rank) {
      for (std::size_t begin = 0; begin < edits.size(); begin += batch_size) {
        const auto count = std::min(batch_size, edits.size() - begin);
        auto result = rank.editor.apply(std::span(edits).subspan(begin, count));
        rank.editor.accept();
        if (rank.is_root()) outcome.batches.push_back(std::move(result));
      }
      const std::scoped_lock lock(mutex);
      outcome.keep(rank.weights);
    });
    return outcome;
  }

  // Protects these prompts in editors that are made from now on.
  void protect(const std::vector<io::ProtectedPrompt>& prompts) {
    tests::run_thread_world(1, [&](sharding::HostCommunicator& world) {
      const auto device = sharding::make_device_communicator(world, torch::kCPU);
      const worker::Transformer model = worker::load_transformer(directory);
      const auto rows =
          worker::protected_rows(worker::PromptBuilder(tokenizer), prompts, model.config.max_positions);
      const auto path = folder.path() / "protected.h5";
      io::write_protected_keys(path, std::ssize(prompts),
                               worker::collect_protected_keys(model, rows, {1, 2}, {world, *device}));
      protection = io::ProtectedKeys::open(path);
    });
  }

  // R K^T (mom2_update_weight C + K K^T)^-1 [d, f] f64, of keys [n, f] and residuals [n, d].
  torch::Tensor dense_solution(std::int64_t layer, const torch::Tensor& keys,
                               const torch::Tensor& residuals) const {
    const auto k = keys.to(torch::kDouble), r = residuals.to(torch::kDouble);
    const auto c = worker::to_tensor(statistics.moment(layer).moment).to(torch::kDouble);
    return at::linalg_solve(options.mom2_update_weight * c + at::mm(k.t(), k), at::mm(k.t(), r)).t();
  }

  const TemporaryDirectory folder;
  const io::ModelDirectory directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const io::StatisticsFile statistics = statistics_in(folder.path() / "s.h5", directory);
  worker::SinkLimits limits = torch::full({2}, 1e9);
  io::Hparams options = editor_hparams();
  std::optional<io::ProtectedKeys> protection{};
  std::vector<io::Canary> canaries{};
  std::int64_t most_slab_rows = 24;  // so that even these layers have several slabs
  sharding::Seconds deadline = sharding::default_deadline;
  Cut cut = Cut::one_range;  // of the model into stages
  std::int64_t kept_groups = 0;
};

// Ranks in the shapes in which a replica is whole, is cut, and both.
inline const std::vector<sharding::Topology> shapes = {{1, 1}, {2, 1}, {2, 2}};

inline std::string name_of(const sharding::Topology& shape) {
  return fmt::format("{} stages x {} replicas", shape.stages(), shape.replicas());
}

inline auto every_method() {
  return testing::Values("memit", "memit_seq", "eac", "alphaedit", "b-eac");
}

inline std::string name_of(const testing::TestParamInfo<std::string>& method) {
  return method.param == "b-eac" ? "b_eac" : method.param;
}

}  // namespace anchorage::tests
