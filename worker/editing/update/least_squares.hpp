// The constrained least squares that every method solves: which change of a weight writes the residuals R at
// the keys K and disturbs everything else least.
//
//   minimize |dW K - R|^2 + |dW A^(1/2)|^2     =>     dW = R K^T (A + K K^T)^-1
//
// (MEMIT, arXiv 2210.07229, eq. 14, with A = lambda C). With P = A^-1 and the Woodbury identity, for b edits:
//
//   G = K^T P K,   dW = u v^T,   u = R (I + G)^-1  [d, b],   v = P K  [f, b]
//   absorbing K:   P <- P - v (I + G)^-1 v^T
//
// O(f^2 b) per batch instead of O(f^3). Everything here is f64, on the device of P.
#pragma once

#include <torch/types.h>

namespace anchorage::worker {

struct LowRankUpdate {
  torch::Tensor u;  // [d, b]
  torch::Tensor v;  // [f, b]
};

class KeyCovariance {
 public:
  // A = weight * C for the second moment C [f, f] of the keys (MEMIT). Throws io::UserError when C is not positive
  // definite.
  static KeyCovariance from_second_moment(const torch::Tensor& second_moment, double weight);

  // P = N N^T / l2, where N spans the eigenvectors of C with eigenvalues below `threshold`: keys of general text
  // lie outside, so an update made of P's columns does not touch them (AlphaEdit, arXiv 2410.02355, eq. 9).
  static KeyCovariance from_null_space(const torch::Tensor& second_moment, double threshold, double l2);

  // Returns the update that writes `residuals` [d, b] at `keys` [f, b].
  LowRankUpdate solve(const torch::Tensor& keys, const torch::Tensor& residuals) const;

  // A <- A + K K^T: later updates preserve what the weight maps these keys to. Rounding adds up over many
  // batches; where `drift` exceeds a tolerance, P is computed anew.
  void absorb(const torch::Tensor& keys);

  // A <- A - K K^T for absorbed keys [f, r]: no trace of them remains.
  void release(const torch::Tensor& keys);

  // Returns (A - K K^T)^-1 K [f, r] for absorbed keys [f, r]. The state stays unchanged.
  torch::Tensor directions_without(const torch::Tensor& keys) const;

  // Returns |A P x - x| / |x| for a fixed x: how far P has drifted from the inverse of A by rounding.
  double drift() const;

  // Returns in how many of the keys' f dimensions updates may lie: the columns of N for a null space,
  // otherwise all.
  std::int64_t free_dimensions() const { return system_.size(0); }

  const torch::Tensor& inverse() const { return inverse_; }  // P [f, f]
  const torch::Tensor& system() const { return system_; }    // B [r, r], below

  // Takes both from another covariance of the same layer and method.
  void restore(torch::Tensor system, torch::Tensor inverse);

  // Returns A and P [f, f], which make the same covariance elsewhere, bit for bit. Not for a covariance of a
  // null space.
  std::pair<torch::Tensor, torch::Tensor> tensors() const;
  static KeyCovariance from_tensors(torch::Tensor system, torch::Tensor inverse);

 private:
  KeyCovariance(torch::Tensor basis, torch::Tensor system);
  KeyCovariance(torch::Tensor basis, torch::Tensor system, torch::Tensor inverse);
  void factor();

  // P = N B^-1 N^T: B is A and N the identity (undefined), or N spans a null space and B = l2 I + N^T (sum of K
  // K^T) N. All are stored row-major, as copies of them are: a product of the same numbers in another layout
  // rounds differently.
  torch::Tensor basis_;    // N [f, r]
  torch::Tensor system_;   // B [r, r]
  torch::Tensor inverse_;  // P
};

}  // namespace anchorage::worker
