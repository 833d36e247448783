// The whole change of an edited weight, as the factors of its singular value decomposition.
//
// The updates of a run are low-rank factors already: their sum is U V^T with one column for each edit. With U = Q R
// and V = P S, the singular values of U V^T are those of the small matrix R S^T [columns, columns], so that no
// matrix of the weight's size is decomposed.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <vector>

namespace anchorage::worker {

// U V^T = left diag(values) right^T, with orthonormal columns and values in descending order; f64 on the CPU. Of
// left and right there may be the first columns alone.
struct SingularFactors {
  torch::Tensor left;    // [d, c]
  torch::Tensor values;  // [k], c <= k
  torch::Tensor right;   // [f, c]
  // The rank of the change, as far as f32 has it: beyond it, less than f32's rounding of the updates is lost.
  std::int64_t rank = 0;

  double norm() const;  // Frobenius
  // Returns the norm of what the first `kept` singular values leave out.
  double norm_beyond(std::int64_t kept) const;

  // Returns B [d, width] and A [width, f], f32, with B A the nearest matrix of rank at most `width`; zeros where
  // the change needs fewer columns. Both take half of each singular value.
  struct Product {
    torch::Tensor b, a;
  };
  Product product(std::int64_t width) const;
};

// Sums updates u v^T of one weight.
class LowRankChange {
 public:
  // Adds an update: u [d, r], v [f, r] f32 on the CPU. Where there come to be more columns than a matrix of the
  // weight's size has, they are multiplied into one: what is held is never more than that and the last update.
  void add(const torch::Tensor& u, const torch::Tensor& v);

  // Returns all singular values and the first columns, at most `most_columns`. At least one update was added.
  SingularFactors factors(std::int64_t most_columns = std::numeric_limits<std::int64_t>::max()) const;

 private:
  struct Columns {
    torch::Tensor u, v;  // [d, columns], [f, columns] f64
  };
  Columns all_columns() const;

  std::vector<torch::Tensor> u_, v_;  // of the updates, until they are multiplied out
  std::int64_t columns_ = 0;
  torch::Tensor whole_;       // [d, f] f64, from then on
  double squared_norms_ = 0;  // sum of |u v^T|^2 over the updates
};

}  // namespace anchorage::worker
