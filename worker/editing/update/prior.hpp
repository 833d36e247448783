// The least squares of a layer before any edit.
#pragma once

#include <torch/types.h>

#include "io/hparams/hparams.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/least_squares.hpp"

namespace anchorage::worker {

// Makes the key covariance from the layer's second moment [f, f], by the method's prior and the transform of
// its updates. Throws io::UserError where the second moment is singular, or lacks the null space that the
// method needs.
KeyCovariance key_covariance_of(const Method& method, const io::Hparams& hparams,
                                const torch::Tensor& second_moment);

}  // namespace anchorage::worker
