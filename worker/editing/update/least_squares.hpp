// The constrained least squares after every method: which change of a weight writes the residuals R at the keys K
// and disturbs everything else least.
//
//   minimize |dW K - R|^2 + |dW A^(1/2)|^2     =>     dW = R K^T (A + K K^T)^-1
//
// (MEMIT, arXiv 2210.07229, eq. 14, with A = lambda C). With P = A^-1 and the Woodbury identity, for b edits:
//
//   G = K^T P K,   dW = u v^T,   u = R (I + G)^-1  [d, b],   v = P K  [f, b],   and absorbing K:   P <- P - v (I +
//   G)^-1 v^T
//
// O(f^2 b) a batch instead of O(f^3). Everything here is f64, on the device of P.
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

  // The update that writes `residuals` [d, b] at `keys` [f, b].
  LowRankUpdate solve(const torch::Tensor& keys, const torch::Tensor& residuals) const;

  // A <- A + K K^T: later updates leave what stands at these keys as it is. Rounding adds up over many batches:
  // where `drift` passes a tolerance, P is factored anew.
  void absorb(const torch::Tensor& keys);

  // A <- A - K K^T for absorbed keys [f, r]: nothing of them is left.
  void release(const torch::Tensor& keys);

  // (A - K K^T)^-1 K for absorbed keys [f, r]: [f, r]. The state stays as it is.
  torch::Tensor directions_without(const torch::Tensor& keys) const;

  // |A P x - x| / |x| for a fixed x: how far P has drifted from the inverse of A by rounding.
  double drift() const;

  // Of the keys' f dimensions those in which updates may lie: of a null space as many as N has, otherwise all.
  std::int64_t free_dimensions() const { return system_.size(0); }

  const torch::Tensor& inverse() const { return inverse_; }  // P [f, f]
  const torch::Tensor& system() const { return system_; }    // B [r, r], below

  // Takes both as another covariance of the same layer and method had them.
  void restore(torch::Tensor system, torch::Tensor inverse);

  // A and P [f, f], which make the same covariance elsewhere, bit for bit. Not for one of a null space.
  std::pair<torch::Tensor, torch::Tensor> tensors() const;
  static KeyCovariance from_tensors(torch::Tensor system, torch::Tensor inverse);

 private:
  KeyCovariance(torch::Tensor basis, torch::Tensor system);
  KeyCovariance(torch::Tensor basis, torch::Tensor system, torch::Tensor inverse);
  void factor();

  // P = N B^-1 N^T: B is A and N the identity (undefined), or N spans a null space and B = l2 I + N^T (sum of K
  // K^T) N. All lie row by row, as copies of them do: a product of the same numbers in another layout rounds
  // otherwise.
  torch::Tensor basis_;    // N [f, r]
  torch::Tensor system_;   // B [r, r]
  torch::Tensor inverse_;  // P
};

}  // namespace anchorage::worker
