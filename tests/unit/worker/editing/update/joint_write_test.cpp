// B-EAC's write against the formulas of its header in dense fp64, with keys that are given.
#include "worker/editing/update/joint_write.hpp"

#include <gtest/gtest.h>

#include "tests/unit/worker/editing/editor_test.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t edits = 3, width = 32;
const std::vector<std::int64_t> layers = {1, 2};

torch::Tensor drawn(std::uint64_t seed, std::vector<std::int64_t> shape) {
  auto generator = at::detail::createCPUGenerator(seed);
  return torch::randn(shape, generator);
}

// Every edit has its anchors at dimensions of its own, in one of the layers.
std::vector<torch::Tensor> anchored_values() {
  std::vector<torch::Tensor> values;
  for (std::int64_t i = 0; i < 2; ++i) {
    const auto dimension = torch::arange(width).unsqueeze(0), edit = torch::arange(edits).unsqueeze(1);
    values.push_back(drawn(static_cast<std::uint64_t>(i), {edits, width}) * (dimension + edit).remainder(4).eq(i));
  }
  return values;
}

class JointWriteTest : public tests::EditorTest {
 protected:
  struct Result {
    std::vector<LayerUpdate> updates;
    std::vector<torch::Tensor> weights;  // masters [d, f]
  };

  // Keys on the edited weights: those at which the remaining residual is measured after the first write, and
  // those in a sweep.
  using Keys = std::function<torch::Tensor(std::int64_t layer)>;
  Result write(int sweeps, const Keys& measured, const Keys& swept, int ranks = 1) {
    Result result;
    tests::run_thread_world(ranks, [&](sharding::HostCommunicator& world) {
      torch::set_num_threads(1);
      const auto device = sharding::make_device_communicator(world, torch::kCPU);
      Transformer model = load_transformer(directory);
      EditedWeights weights(model, directory, layers);
      const LayerSolver solver(weights, options, method_named("b-eac"), statistics, {world, *device}, model.stages);
      sharding::BatchSeconds seconds;
      const auto measured_of_all = [&] { return std::vector{measured(1), measured(2)}; };
      JointWrite joint(weights, solver, values, {.of_layer = swept, .of_all = measured_of_all}, {}, seconds);
      auto updates = joint.run({injected_keys(1), injected_keys(2)}, sweeps);
      weights.accept();
      if (world.rank() != 0) return;
      result.updates = std::move(updates);
      for (const std::int64_t layer : layers) result.weights.push_back(weights.master(layer).clone());
    });
    return result;
  }

  torch::Tensor injected_keys(std::int64_t layer) const {
    return drawn(static_cast<std::uint64_t>(10 + layer), {edits, directory.config().d_ff});
  }
  torch::Tensor keys_of_sweep(std::int64_t layer) const {
    return injected_keys(layer) +
           0.5 * drawn(static_cast<std::uint64_t>(20 + layer), {edits, directory.config().d_ff});
  }

  void expect_written(const Result& result, const std::vector<torch::Tensor>& residuals,
                      const std::function<torch::Tensor(std::int64_t)>& keys) const {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      tests::expect_close(result.updates[i].residuals, residuals[i], 1e-4);
      const auto change = dense_solution(layers[i], keys(layers[i]), residuals[i]);
      const double tolerance = 1e-4 * change.abs().max().item<double>();
      tests::expect_close(at::mm(result.updates[i].u, result.updates[i].v.t()), change, tolerance);
      const auto base = read_down_projection(directory, layers[i]);
      tests::expect_close(result.weights[i] - base, change, tolerance + 1e-6);
    }
  }

  const std::vector<torch::Tensor> values = anchored_values();
};

TEST_F(JointWriteTest, WithoutSweepsEachLayerWritesItsValuesAtTheInjectedKeys) {
  const Keys unasked = [](std::int64_t) -> torch::Tensor { throw std::logic_error("not needed"); };
  const Result result = write(0, unasked, unasked);
  expect_written(result, values, [&](std::int64_t layer) { return injected_keys(layer); });
}

TEST_F(JointWriteTest, ASweepGivesEachLayerWhatTheOneBelowLeftUndone) {
  options.mom2_update_weight = 2e4;  // so that much is left
  const auto keys = [&](std::int64_t layer) { return keys_of_sweep(layer); };
  const auto anchors = (values[0] + values[1]).ne(0);
  const auto left = [&](std::int64_t layer, const torch::Tensor& aims, const torch::Tensor& residuals) {
    return (aims - at::mm(keys(layer).to(torch::kDouble), dense_solution(layer, keys(layer), residuals).t())) *
           anchors;
  };
  const auto carried = left(1, values[0], values[0]);
  EXPECT_GT(carried.norm().item<double>(), 0.1 * values[0].norm().item<double>());
  const std::vector<torch::Tensor> once = {values[0], values[1] + carried};
  for (const int ranks : {1, 2}) {
    expect_written(write(1, keys, keys, ranks), once, keys);
  }

  // The second sweep adds what remains in the end to the layers whose anchors it lies on.
  const auto in_the_end = left(2, once[1], once[1]);
  const auto first = values[0] + in_the_end * values[0].ne(0);
  const auto second = values[1] + in_the_end * values[1].ne(0) + left(1, values[0], first);
  expect_written(write(2, keys, keys), {first, second}, keys);
}

TEST_F(JointWriteTest, ASweepThatLeavesMoreUndoneIsUndone) {
  const Result without = write(0, {}, {});
  // The remaining residual is measured at the keys of the write; the keys of the sweep are too small to write
  // anything.
  const Result tried = write(
      1, [&](std::int64_t layer) { return injected_keys(layer); },
      [&](std::int64_t layer) { return 1e-3 * injected_keys(layer); });
  for (std::size_t i = 0; i < layers.size(); ++i) {
    EXPECT_TRUE(at::equal(tried.weights[i], without.weights[i]));
    EXPECT_TRUE(at::equal(tried.updates[i].keys, without.updates[i].keys));
    EXPECT_TRUE(at::equal(tried.updates[i].residuals, without.updates[i].residuals));
  }
}

}  // namespace
}  // namespace anchorage::worker
