// The edited layers' least squares, each with its owner, and the one way updates reach the weights of all ranks.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "io/hparams.hpp"
#include "io/statistics_file.hpp"
#include "sharding/command.hpp"
#include "worker/editing/edited_weights.hpp"
#include "worker/editing/least_squares.hpp"
#include "worker/editing/method.hpp"
#include "worker/ranks.hpp"

namespace anchorage::worker {

// One layer's part of a batch; b written edits, in their order. `u v^T = R K^T (A + K K^T)^-1` for these keys and
// residuals, so that the journal can take an edit back.
struct LayerUpdate {
  std::int64_t layer = 0;
  torch::Tensor keys;       // [b, f] f32
  torch::Tensor residuals;  // [b, d] f32
  torch::Tensor u;          // [d, b] f32
  torch::Tensor v;          // [f, b] f32
  double update_norm = 0;   // |u v^T|
  double total_norm = 0;    // |W - W(base)| after it
  double base_norm = 0;     // |W(base)|; Frobenius norms, on rank 0 only
};

class LayerSolver {
 public:
  // Collective: owners factor their second moments. Borrows weights and hparams.
  LayerSolver(EditedWeights& weights, const io::Hparams& hparams, const Method& method,
              const io::StatisticsFile& statistics, const Ranks& ranks);

  int owner(std::int64_t layer) const { return owners_.at(layer); }
  bool owns(std::int64_t layer) const { return owner(layer) == ranks_.rank(); }

  // Fills in u and v from keys and residuals: owners solve at the same time, then each sends its updates to all.
  // Collective. The weights stay as they are.
  void solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const;

  // Later solves leave what stands at these keys [b, f] as it is, where the method carries keys from batch to
  // batch.
  void absorb(std::int64_t layer, const torch::Tensor& keys);

  // The least squares of the layers this rank owns. Shares tensors; a state is never changed in place.
  using State = std::map<std::int64_t, KeyMetric>;
  const State& state() const { return metrics_; }
  void restore(const State& state) { metrics_ = state; }

 private:
  Method method_;
  Ranks ranks_;
  std::map<std::int64_t, int> owners_;
  State metrics_;
};

}  // namespace anchorage::worker
