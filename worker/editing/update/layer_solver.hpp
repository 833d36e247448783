// The edited layers' least squares, in slabs of rows over all ranks of the world, and the only way in which updates
// reach the weights of all ranks.
//
// A layer's leader is one of the ranks that hold it, the rank of one replica on the layer's stage: it computes what
// one rank is enough for, and broadcasts it.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "io/run/protected_keys.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/edited_weights.hpp"
#include "worker/editing/update/least_squares.hpp"

namespace anchorage::worker {

// One layer's part of a batch; b written edits, in their order. `u v^T = R K^T (A + K K^T)^-1` for these keys
// and residuals, so that an edit can be removed from the journal's records.
struct LayerUpdate {
  std::int64_t layer = 0;
  torch::Tensor keys;       // [b, f] f32
  torch::Tensor residuals;  // [b, d] f32
  torch::Tensor u;          // [d, b] f32
  torch::Tensor v;          // [f, b] f32
  torch::Tensor products;   // P K [f, b] f64
  io::LayerNorms norms{};   // on replica 0 only
};

// One layer's part of a removal of r edits (removal.hpp).
struct LayerRemoval {
  std::int64_t layer = 0;
  torch::Tensor keys;      // [r, f] f32
  torch::Tensor u;         // [d, r] f32
  torch::Tensor v;         // [f, r] f32
  torch::Tensor products;  // P K [f, r] f64
  io::LayerNorms norms{};  // on replica 0 only
};

// How the slabs are cut, and how many each rank of the world holds at most (Plan::ranks); none given: as many on
// each.
struct SlabPlan {
  std::vector<std::int64_t> capacities{};
  std::int64_t most_rows = sharding::most_slab_rows;
};

class LayerSolver {
 public:
  // Inverts the second moments, with the keys that the run protects. Borrows the statistics. Throws io::UserError,
  // on every rank, where one is singular, or lacks the null space that the method needs. Collective over the world.
  LayerSolver(const EditedWeights& weights, const io::Hparams& hparams, const Method& method,
              const io::StatisticsFile& statistics, const Communicators& ranks, const Stages& stages,
              SlabPlan plan = {}, const std::optional<io::ProtectedKeys>& protected_keys = std::nullopt);

  // The replica of the layer's leader.
  int leader(std::int64_t layer) const;
  bool leads(std::int64_t layer) const { return stages_.holds(layer) && leader(layer) == communicators_.rank(); }

  // Returns the leader's tensor on every rank; elsewhere `tensor` gives shape and dtype, and is overwritten on
  // ranks that hold the layer. Collective.
  torch::Tensor from_leader(const torch::Tensor& tensor, std::int64_t layer, std::string_view operation) const;

  // Returns for each edited layer the number of key dimensions in which updates may lie
  // (KeyCovariance::free_dimensions).
  std::map<std::int64_t, std::int64_t> free_dimensions() const;

  // Fills in u, v and products from keys and residuals: all ranks compute the products of their slabs at the same
  // time. Neither weights nor least squares change. Collective.
  void solve(std::span<LayerUpdate> updates, sharding::BatchSeconds& seconds) const;

  // Computes the updates that remove the edits from every layer. Neither weights nor least squares change.
  // Collective.
  std::vector<LayerRemoval> solve_removal(const sharding::Removal& removal, sharding::BatchSeconds& seconds) const;

  // Where the method carries keys from batch to batch: later solves preserve what the weights map these keys to, or
  // no longer do. They wait until they are accepted. Not collective; every rank calls them.
  void absorb(const LayerUpdate& update);
  void release(const LayerRemoval& removal);
  // Does that with the keys of a committed segment. Collective.
  void replay(std::int64_t layer, const KeyChange& change);

  // Takes what waits into the slabs. Returns whether rounding has added so much that `refresh` should follow.
  // Collective.
  bool accept();
  void discard();

  // Computes the least squares of the layers that need it anew, from the statistics and the keys that the live
  // segments added and took away. Collective.
  void refresh(std::span<const std::string> live);

  // Deals the slabs anew where the load has shifted (sharding::redeal_slabs). `loads`: one per edited layer, the
  // same on every rank. Nothing waits. Collective.
  void redeal(std::span<const std::int64_t> loads);

  const KeyCovariance& covariance(std::int64_t layer) const { return covariances_.at(layer); }
  KeyCovariance& covariance(std::int64_t layer) { return covariances_.at(layer); }
  // The rank that owns each slab, by layer and row.
  std::vector<int> owners() const;

 private:
  std::int64_t place_of(std::int64_t layer) const;
  torch::Tensor keys_of(const torch::Tensor& rows) const;
  std::map<std::int64_t, double> drifts() const;

  Method method_;
  Communicators communicators_;
  Stages stages_;
  std::vector<std::int64_t> layers_;
  std::vector<std::int64_t> capacities_;  // slabs, by rank of the world
  std::map<std::int64_t, KeyCovariance> covariances_;
};

}  // namespace anchorage::worker
