// Owners of edited layers that move, on two replicas as threads.
#include "worker/editing/update/layer_solver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "tests/support/temporary_directory.hpp"
#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

const std::vector<std::int64_t> layers = {0, 1, 2, 3};

torch::Tensor drawn(std::int64_t seed, std::vector<std::int64_t> shape) {
  auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
  return torch::randn(shape, generator);
}

io::StatisticsFile statistics_in(const std::filesystem::path& path, std::int64_t width) {
  io::Statistics statistics;
  statistics.fingerprint = {
      .model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 20};
  statistics.tokens = 1000;
  for (const std::int64_t layer : layers) {
    const auto keys = drawn(layer, {4 * width, width});
    statistics.moments.push_back({layer, to_matrix(at::mm(keys.t(), keys) / (4 * width))});
  }
  io::save_statistics(path, statistics);
  return io::StatisticsFile::load(path);
}

std::vector<LayerUpdate> updates(const io::ModelConfig& model, std::int64_t batch) {
  std::vector<LayerUpdate> updates;
  for (const std::int64_t layer : layers) {
    updates.push_back({.layer = layer,
                       .keys = drawn(100 * batch + layer, {5, model.d_ff}),
                       .residuals = drawn(100 * batch + layer + 50, {5, model.d_model}),
                       .u = {},
                       .v = {}});
  }
  return updates;
}

TEST(LayerSolver, LayersThatMoveToAnotherOwnerAreSolvedToTheSameBits) {
  const tests::TemporaryDirectory folder;
  const auto directory = tests::golden_model("llama_tied").directory;
  const auto statistics = statistics_in(folder.path() / "s.h5", directory.config().d_ff);
  tests::run_thread_world(2, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const auto device = sharding::make_device_communicator(world, torch::kCPU);
    Transformer model = load_transformer(directory);
    EditedWeights weights(model, directory, layers);
    LayerSolver solver(weights, {}, method_named("memit_seq"), statistics, {world, *device}, model.stages);
    const auto owners = [&] {
      std::vector<int> ranks;
      for (const std::int64_t layer : layers) ranks.push_back(solver.owner(layer));
      return ranks;
    };
    sharding::BatchSeconds seconds;
    for (const LayerUpdate& update : updates(model.config, 1)) solver.absorb(update.layer, update.keys);
    const auto solved = [&] {
      auto batch = updates(model.config, 2);
      solver.solve(batch, seconds);
      return batch;
    };
    const auto before = solved();
    const LayerSolver::State state = solver.state();
    EXPECT_THAT(owners(), testing::ElementsAre(0, 1, 0, 1));

    solver.refresh_owners(std::vector<std::int64_t>{30, 10, 30, 10});
    EXPECT_THAT(owners(), testing::ElementsAre(0, 1, 1, 0));
    const auto expect_same = [&] {
      const auto after = solved();
      for (std::size_t i = 0; i < layers.size(); ++i) {
        EXPECT_TRUE(at::equal(after[i].u, before[i].u)) << "layer " << i;
        EXPECT_TRUE(at::equal(after[i].v, before[i].v)) << "layer " << i;
      }
    };
    expect_same();
    solver.restore(state);
    EXPECT_THAT(owners(), testing::ElementsAre(0, 1, 0, 1));
    expect_same();
  });
}

TEST(LayerSolver, EveryRankKnowsTheFreeDimensionsOfAllLayers) {
  const tests::TemporaryDirectory folder;
  const auto directory = tests::golden_model("llama_tied").directory;
  const std::int64_t width = directory.config().d_ff;
  const auto statistics = statistics_in(folder.path() / "s.h5", width);
  const auto below = [&](std::int64_t layer, double threshold) {
    const auto values = at::linalg_eigvalsh(to_tensor(statistics.moment(layer).moment).to(torch::kDouble));
    return values.lt(threshold).sum().item<std::int64_t>();
  };
  tests::run_thread_world(2, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const auto device = sharding::make_device_communicator(world, torch::kCPU);
    Transformer model = load_transformer(directory);
    EditedWeights weights(model, directory, layers);
    for (const double threshold : {1.0, 1e6}) {
      io::Hparams hparams;
      hparams.nullspace_threshold = threshold;
      const LayerSolver solver(weights, hparams, method_named("alphaedit"), statistics, {world, *device},
                               model.stages);
      for (const auto& [layer, free] : solver.free_dimensions()) EXPECT_EQ(free, below(layer, threshold)) << layer;
      EXPECT_EQ(solver.free_dimensions().size(), layers.size());
      EXPECT_EQ(solver.free_dimensions().at(0) == width, threshold == 1e6);
    }
  });
}

}  // namespace
}  // namespace anchorage::worker
