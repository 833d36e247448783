// The constrained least squares that every method solves: which change of a weight writes the residuals R at
// the keys K and disturbs everything else least.
//
//   minimize |dW K - R|^2 + |dW A^(1/2)|^2     =>     dW = R K^T (A + K K^T)^-1
//
// (MEMIT, arXiv 2210.07229, eq. 14, with A = lambda C). With P = A^-1 and the Woodbury identity, for b edits:
//
//   V = P K [f, b],   G = K^T V,   dW = u v^T,   u = R (I + G)^-1  [d, b],   v = V
//   absorbing K:   P <- P - Z^T Z,   Z = L^-1 V^T [b, f],   L L^T = I + G
//   releasing K:   P <- P + Z^T Z,                          L L^T = I - G
//
// O(f^2 b) per batch instead of O(f^3). Everything here is f64.
//
// Keys that are protected from the beginning are a part of A as if they had been absorbed, each as `weight` keys:
//
//   A = lambda C + weight * sum of k k^T
//
// P is cut into slabs of rows, each held by one rank of the world, and nothing of A is kept. A slab is computed in
// the same way wherever it lies. What a batch changes waits beside P until it is accepted.
#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "sharding/range.hpp"
#include "worker/editing/update/slab_place.hpp"

namespace anchorage::worker {

struct LowRankUpdate {
  torch::Tensor u;  // [d, b]
  torch::Tensor v;  // [f, b]
};

// Keys that updates leave alone from the beginning, whatever the prior is made of.
struct ProtectedKeyRows {
  std::int64_t count = 0;
  std::function<torch::Tensor(sharding::Range rows)> rows{};  // returns keys: [n, f] f32, on any device
  double weight = 1;                                          // each counts as so many absorbed keys
};

// What is known of the keys before any edit: their second moment C, weighted (MEMIT), or its null space
// (AlphaEdit); and keys that are protected.
struct KeyPrior {
  // Returns rows of C: [rows, f], f32 or f64, on any device.
  std::function<torch::Tensor(sharding::Range rows)> moment;
  double weight = 1;             // A = weight * C
  bool null_space = false;       // instead: P = N N^T / l2, where N spans the eigenvectors of C with eigenvalues
  double threshold = 0, l2 = 1;  // below the threshold
  ProtectedKeyRows protection{};
  int factored_by = 0;               // the rank that computes the eigenvectors
  std::int64_t factored_within = 1;  // deadlines, for other ranks that wait for them

  // Computes the eigenvectors ahead, on the rank that does, so that several layers' are computed at the same time.
  void factor(torch::Device device, std::int64_t width);
  torch::Tensor eigenvalues{}, eigenvectors{};  // [f] ascending, [f, f]; undefined: not computed, or used
};

// Keys that were added to A (sign 1) or taken from it (-1).
struct KeyChange {
  torch::Tensor keys;  // [n, f] f32
  double sign = 1;
};

// The least squares of one layer: this rank's slabs of P.
class KeyCovariance {
 public:
  // Computes P from the prior. For a null space, keys of general text lie outside, so an update made of P's columns
  // does not touch them (AlphaEdit, arXiv 2410.02355, eq. 9). Throws io::UserError, on every rank, when C is not
  // positive definite, or has no eigenvalue below the threshold. Collective over the place's world.
  KeyCovariance(KeyPrior prior, SlabPlace place);
  KeyCovariance(KeyCovariance&&) = default;
  KeyCovariance& operator=(KeyCovariance&&) = default;
  KeyCovariance(const KeyCovariance&) = delete;  // slabs are changed in place
  KeyCovariance& operator=(const KeyCovariance&) = delete;

  // Returns P K [f, b] for keys [f, b] f64, with what waits. Collective; `own_products` computes this rank's rows
  // and `share` gathers the others', so that the products of several layers are computed at the same time.
  [[nodiscard]] torch::Tensor products(const torch::Tensor& keys) const;
  [[nodiscard]] torch::Tensor own_products(const torch::Tensor& keys) const;
  void share(const torch::Tensor& products) const;

  // Returns the update that writes `residuals` [d, b] at `keys` [f, b], given their products.
  static LowRankUpdate solve(const torch::Tensor& keys, const torch::Tensor& residuals,
                             const torch::Tensor& products);
  // Returns (A - K K^T)^-1 K [f, r] for absorbed keys, given their products.
  static torch::Tensor directions_without(const torch::Tensor& keys, const torch::Tensor& products);

  // A <- A + K K^T: later updates preserve what the weight maps these keys [f, b] to. `release` takes absorbed keys
  // back: no trace of them remains. Both wait until `accept`; products already see them. Not collective.
  void absorb(const torch::Tensor& keys, const torch::Tensor& products);
  void release(const torch::Tensor& keys, const torch::Tensor& products);
  // Absorbs or releases these keys, with their products. Collective.
  void replay(const KeyChange& change);
  // Change P, or forget what waits. Not collective; every rank calls them.
  void accept();
  void discard() { waiting_.clear(); }

  // Returns for each of this rank's slabs the sum of squares of its rows of P A x - x, for a fixed x: the drift of
  // P from the inverse of A by rounding is the root of their sum over all slabs (in the order of rows) by |x|. A x
  // is carried along, [f]; A itself is not.
  [[nodiscard]] std::map<std::size_t, double> squared_errors() const;
  // Turns the sum of the squares into the drift; `refreshed_at` remembers that of a P computed anew.
  [[nodiscard]] double drift(double squares) const;
  void refreshed_at(double drift) { fresh_drift_ = drift; }
  // Whether rounding has added so much that P should be computed anew.
  [[nodiscard]] bool needs_refresh(double drift) const;

  // Computes P anew, for the prior with its protected keys and these changes in their order. Collective.
  void refresh(std::span<const KeyChange> changes);

  // Returns in how many of the keys' f dimensions updates may lie: the columns of N for a null space,
  // otherwise all.
  [[nodiscard]] std::int64_t free_dimensions() const { return free_dimensions_; }

  [[nodiscard]] const SlabPlace& place() const { return place_; }
  [[nodiscard]] bool owns(std::size_t slab) const { return place_.owns(slab); }
  [[nodiscard]] const std::map<std::size_t, torch::Tensor>& slabs() const { return slabs_; }  // [rows, f]

  // What else a copy needs that continues with the same bits.
  struct Carried {
    torch::Tensor image;  // A x [f]
    double fresh_drift = 0;
  };
  [[nodiscard]] Carried carried() const { return {image_, fresh_drift_}; }
  void restore(const Carried& carried);
  void restore(std::size_t slab, const torch::Tensor& rows);  // of this rank
  // Moves a slab to another rank; every rank calls it.
  void move(std::size_t slab, int to);

 private:
  struct Waiting {
    torch::Tensor keys;    // [f, b]
    torch::Tensor factor;  // Z [b, f]; undefined where this rank has no slab
    double sign;           // of K K^T in A
  };

  [[nodiscard]] std::int64_t width() const { return place_.rows.back().end; }
  [[nodiscard]] torch::TensorOptions options() const;
  [[nodiscard]] torch::Tensor probe() const;
  void take_second_moment(std::span<const KeyChange> changes);
  void take_null_space();
  void absorb_protected_keys();
  void wait_for(const torch::Tensor& keys, const torch::Tensor& products, double sign);

  KeyPrior prior_;
  SlabPlace place_;
  std::map<std::size_t, torch::Tensor> slabs_;
  std::vector<Waiting> waiting_;
  torch::Tensor probe_;  // x [f]: with a null space, in its span
  torch::Tensor image_;  // A x [f]
  std::int64_t free_dimensions_ = 0;
  double fresh_drift_ = 0;
};

}  // namespace anchorage::worker
