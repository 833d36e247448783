// The engine against tests/golden/parity.py, an implementation of docs/method.md that shares nothing with it: plain
// autograd through transformers' models, and dense f64 solves.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "io/edits/reader.hpp"
#include "io/model/safetensors.hpp"
#include "io/statistics/statistics_file.hpp"
#include "tests/support/places.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/stage_world.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::worker {
namespace {

// Of the norm of what is compared; of a weight, of the norm of its change.
constexpr double tolerance = 1e-4;

using FamilyAndMethod = std::tuple<std::string, std::string>;

class ParityTest : public testing::TestWithParam<FamilyAndMethod> {
 protected:
  torch::Tensor golden(const std::string& name) const {
    const io::TensorView view = golden_.at(name);
    EXPECT_EQ(view.dtype, io::DType::f32) << name;
    auto tensor = torch::empty(view.shape);
    std::memcpy(tensor.data_ptr(), view.bytes.data(), view.bytes.size());
    return tensor.to(torch::kDouble);
  }

  io::StatisticsFile statistics() const {
    io::Statistics statistics;
    statistics.fingerprint = {
        .model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 20};
    statistics.tokens = 1200;
    for (const std::int64_t layer : hparams_.layers) {
      const auto moment = golden(fmt::format("moment.{}", layer)).to(torch::kFloat);
      statistics.moments.push_back({layer, to_matrix(moment)});
    }
    io::save_statistics(temporary_.path() / "s.h5", statistics);
    return io::StatisticsFile::load(temporary_.path() / "s.h5");
  }

  static void report(const std::string& what, const torch::Tensor& actual, const torch::Tensor& expected) {
    ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
    const double difference = (actual.to(torch::kDouble) - expected).norm().item<double>();
    const double relative = difference / expected.norm().item<double>();
    std::cout << fmt::format("{:28} difference {:.2e}, relative {:.2e}, {:.1f} % of the tolerance\n", what,
                             difference, relative, 100 * relative / tolerance);
    EXPECT_LE(relative, tolerance) << what;
  }

  const std::string family_ = std::get<0>(GetParam()), method_ = std::get<1>(GetParam());
  const std::filesystem::path folder_ = std::filesystem::path(tests::golden_path()) / "parity" / family_;
  const io::SafetensorsFile golden_ = io::SafetensorsFile::open(folder_ / "golden.safetensors");
  const io::ModelDirectory directory_ = io::ModelDirectory::open(folder_ / "model");
  const io::Hparams hparams_ = io::load_hparams(folder_ / "hparams.yaml").hparams;
  const tests::TemporaryDirectory temporary_;
};

INSTANTIATE_TEST_SUITE_P(Methods, ParityTest,
                         testing::Combine(testing::Values("llama", "gpt2"),
                                          testing::Values("memit", "memit_seq", "eac", "alphaedit", "b-eac")),
                         [](const auto& param) {
                           auto name = std::get<0>(param.param) + "_" + std::get<1>(param.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

// The saliency of a batch's anchors in one layer, [edits, d], 0 elsewhere.
torch::Tensor dense(const io::SparseRows& rows, std::int64_t width) {
  auto tensor = torch::zeros({std::ssize(rows.offsets) - 1, width});
  for (std::int64_t row = 0; row < tensor.size(0); ++row) {
    const auto begin = static_cast<std::size_t>(rows.offsets[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(rows.offsets[static_cast<std::size_t>(row) + 1]);
    for (auto i = begin; i < end; ++i) tensor[row][rows.indices[i]] = rows.values[i];
  }
  return tensor;
}

TEST_P(ParityTest, ValuesKeysAndWeightsAreThoseOfAnIndependentImplementation) {
  std::ifstream file(folder_ / "setup.json");
  const auto setup = nlohmann::json::parse(file);
  const auto contexts = setup.at("contexts").get<std::vector<std::string>>();
  const auto edits = io::read_edits(folder_ / "edits.jsonl").edits;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory_.tokenizer());
  const io::StatisticsFile moments = statistics();
  const auto layers = std::ssize(hparams_.layers);

  tests::run_thread_world(1, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    auto groups = sharding::form_rank_groups(world, {1, 1}, torch::kCPU);
    const std::int64_t blocks = directory_.config().layers;
    Transformer model =
        load_transformer(directory_, {.device = torch::kCPU,
                                      .dtype = std::nullopt,
                                      .stages = Stages(tests::even_stages(blocks, 1), *groups.replica)});
    EditedWeights weights(model, directory_, {hparams_.layers.begin(), hparams_.layers.end()});
    const PromptBuilder prompts(tokenizer);
    BatchEditor editor(model, weights, prompts, hparams_, method_named(method_), moments,
                       {.prefixes = contexts, .wanted = contexts.size()}, torch::full({layers}, 1e9),
                       {groups, world});

    std::size_t begin = 0;
    const auto batches = setup.at("batches").get<std::vector<std::size_t>>();
    for (std::size_t batch = 0; batch < batches.size(); ++batch) {
      const BatchResult result = editor.apply(std::span(edits).subspan(begin, batches[batch]));
      editor.accept();
      begin += batches[batch];
      for (const EditOutcome& edit : result.edits) ASSERT_EQ(edit.refusal, "");
      const auto of_batch = [&](const std::string& what) { return fmt::format("{}.{}.{}", method_, batch, what); };
      const auto of_layer = [&](const std::string& what, std::int64_t layer) {
        return of_batch(fmt::format("{}.{}", what, layer));
      };
      const auto compare = [&](const std::string& name, const torch::Tensor& actual) {
        report(name, actual, golden(name));
      };

      // In turn, the first layer writes the value divided by the number of layers.
      if (method_named(method_).solve == Solve::in_turn) {
        const auto values = result.layers.front().residuals * static_cast<double>(layers);
        compare(of_batch("values"), values.unsqueeze(1));
        if (hparams_.target_norm == 0) {
          EXPECT_TRUE(at::equal(values.ne(0), golden(of_batch("values")).select(1, 0).ne(0))) << "other anchors";
        }
      }
      for (const LayerUpdate& update : result.layers) {
        compare(of_layer("keys", update.layer), update.keys);
        compare(of_layer("residuals", update.layer), update.residuals);
      }
      for (const io::AnchorRecord& anchors : result.anchors) {
        const auto saliency = dense(anchors.chosen, model.config.d_model);
        const std::string name = of_layer("saliency", anchors.layer);
        compare(name, saliency);
        EXPECT_TRUE(at::equal(saliency.ne(0), golden(name).ne(0))) << "other anchors";
        compare(of_layer("rolling", anchors.layer), torch::tensor(anchors.rolling, torch::kDouble));
      }
    }
    for (const std::int64_t layer : hparams_.layers) {
      const auto change = weights.master(layer).to(torch::kDouble) - read_down_projection(directory_, layer);
      const std::string name = fmt::format("{}.change.{}", method_, layer);
      report(name, change, golden(name));
    }
  });
}

}  // namespace
}  // namespace anchorage::worker
