// What a layer's least squares begin with, before any edit.
#pragma once

#include <torch/types.h>

#include "io/hparams/hparams.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/least_squares.hpp"

namespace anchorage::worker {

// The key covariance that the method's prior and the transform of its updates make of the layer's second moment
// [f, f]. Throws io::UserError where that is singular, or has no null space that the method needs.
KeyCovariance key_covariance_of(const Method& method, const io::Hparams& hparams,
                                const torch::Tensor& second_moment);

}  // namespace anchorage::worker
