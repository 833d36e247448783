// The whole P of a layer, which only tests need.
#pragma once

#include <torch/types.h>

#include <vector>

#include "worker/editing/update/least_squares.hpp"

namespace anchorage::tests {

// Puts the slabs together, all of which are on this rank: [f, f].
inline torch::Tensor whole_inverse(const worker::KeyCovariance& covariance) {
  std::vector<torch::Tensor> slabs;
  for (const auto& [slab, rows] : covariance.slabs()) slabs.push_back(rows);
  return at::cat(slabs);
}

}  // namespace anchorage::tests
