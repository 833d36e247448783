#include "worker/editing/update/prior.hpp"

#include "io/error.hpp"

namespace anchorage::worker {

KeyCovariance key_covariance_of(const Method& method, const io::Hparams& hparams,
                                const torch::Tensor& second_moment) {
  const bool projected = method.update_transform == UpdateTransform::null_space;
  if (method.prior == Prior::ridge && projected)
    return KeyCovariance::from_null_space(second_moment, hparams.nullspace_threshold, hparams.L2);
  io::check(method.prior == Prior::second_moment && !projected, "a prior and a projection that do not go together");
  return KeyCovariance::from_second_moment(second_moment, hparams.mom2_update_weight);
}

}  // namespace anchorage::worker
