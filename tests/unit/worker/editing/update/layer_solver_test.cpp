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

const std::vector<std::int64_t> solver_layers = {0, 1, 2, 3};

torch::Tensor drawn_f32(std::int64_t seed, std::vector<std::int64_t> shape) {
  auto generator = at::detail::createCPUGenerator(static_cast<std::uint64_t>(seed));
  return torch::randn(shape, generator);
}

io::StatisticsFile statistics_in(const std::filesystem::path& path, std::int64_t width) {
  io::Statistics statistics;
  statistics.fingerprint = {
      .model_name = "m", .model = "m", .tokenizer = "t", .corpus = "c", .sequence_length = 20};
  statistics.tokens = 1000;
  for (const std::int64_t layer : solver_layers) {
    const auto keys = drawn_f32(layer, {4 * width, width});
    statistics.moments.push_back({layer, to_matrix(at::mm(keys.t(), keys) / (4 * width))});
  }
  io::save_statistics(path, statistics);
  return io::StatisticsFile::load(path);
}

std::vector<LayerUpdate> updates(const io::ModelConfig& model, std::int64_t batch) {
  std::vector<LayerUpdate> updates;
  for (const std::int64_t layer : solver_layers) {
    updates.push_back({.layer = layer,
                       .keys = drawn_f32(100 * batch + layer, {5, model.d_ff}),
                       .residuals = drawn_f32(100 * batch + layer + 50, {5, model.d_model}),
                       .u = {},
                       .v = {},
                       .products = {}});
  }
  return updates;
}

TEST(LayerSolver, SlabsThatMoveToAnotherOwnerAreSolvedToTheSameBits) {
  const tests::TemporaryDirectory folder;
  const auto directory = tests::golden_model("llama_tied").directory;
  const std::int64_t width = directory.config().d_ff;
  const auto statistics = statistics_in(folder.path() / "s.h5", width);
  tests::run_thread_world(2, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const auto device = sharding::make_device_communicator(world, torch::kCPU);
    Transformer model = load_transformer(directory);
    EditedWeights weights(model, directory, solver_layers);
    LayerSolver solver(weights, {}, method_named("memit_seq"), statistics, {world, *device}, model.stages,
                       {.capacities = {}, .most_rows = (width + 1) / 2});
    sharding::BatchSeconds seconds;
    const auto solved = [&](std::int64_t number) {
      auto batch = updates(model.config, number);
      solver.solve(batch, seconds);
      return batch;
    };
    for (const LayerUpdate& update : solved(1)) solver.absorb(update);
    EXPECT_FALSE(solver.accept());
    const auto before = solved(2);
    EXPECT_THAT(solver.owners(), testing::ElementsAre(0, 1, 0, 1, 0, 1, 0, 1));

    solver.redeal(std::vector<std::int64_t>{60, 20, 0, 0});
    EXPECT_THAT(solver.owners(), testing::ElementsAre(0, 1, 0, 1, 0, 1, 0, 1)) << "the load is even";
    solver.redeal(std::vector<std::int64_t>{60, 21, 22, 23});
    const auto after = solved(2);
    for (std::size_t i = 0; i < solver_layers.size(); ++i) {
      EXPECT_TRUE(at::equal(after[i].u, before[i].u)) << "layer " << i;
      EXPECT_TRUE(at::equal(after[i].v, before[i].v)) << "layer " << i;
    }
  });
}

// More than half of the slabs do not fit one rank, and another has no room.
TEST(LayerSolver, ARankHoldsNoMoreSlabsThanItHasPlacesFor) {
  const tests::TemporaryDirectory folder;
  const auto directory = tests::golden_model("llama_tied").directory;
  const auto statistics = statistics_in(folder.path() / "s.h5", directory.config().d_ff);
  tests::run_thread_world(3, [&](sharding::HostCommunicator& world) {
    torch::set_num_threads(1);
    const auto device = sharding::make_device_communicator(world, torch::kCPU);
    Transformer model = load_transformer(directory);
    EditedWeights weights(model, directory, solver_layers);
    LayerSolver solver(weights, {}, method_named("memit_seq"), statistics, {world, *device}, model.stages,
                       {.capacities = {1, 0, 3}});
    EXPECT_THAT(solver.owners(), testing::UnorderedElementsAre(0, 2, 2, 2));
    solver.redeal(std::vector<std::int64_t>{1, 1, 1, 50});
    EXPECT_THAT(solver.owners(), testing::UnorderedElementsAre(0, 2, 2, 2));
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
    EditedWeights weights(model, directory, solver_layers);
    for (const double threshold : {1.0, 1e6}) {
      io::Hparams hparams;
      hparams.nullspace_threshold = threshold;
      const LayerSolver solver(weights, hparams, method_named("alphaedit"), statistics, {world, *device},
                               model.stages);
      for (const auto& [layer, free] : solver.free_dimensions()) EXPECT_EQ(free, below(layer, threshold)) << layer;
      EXPECT_EQ(solver.free_dimensions().size(), solver_layers.size());
      EXPECT_EQ(solver.free_dimensions().at(0) == width, threshold == 1e6);
    }
  });
}

}  // namespace
}  // namespace anchorage::worker
