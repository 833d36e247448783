#include "worker/editing/update/prior.hpp"

#include <torch/utils.h>
#include <memory>

#include "io/error.hpp"

namespace anchorage::worker {

KeyPrior key_prior_of(const Method& method, const io::Hparams& hparams, const io::StatisticsFile& statistics,
                      std::int64_t layer) {
  const bool projected = method.update_transform == UpdateTransform::null_space;
  io::check((method.prior == Prior::ridge) == projected, "a prior and a projection that do not go together");
  return {.moment =
              [&statistics, layer](sharding::Range rows) {
                auto read = std::make_shared<io::Matrix>(statistics.moment_rows(layer, rows.begin, rows.end));
                return torch::from_blob(
                    read->values.data(), {read->rows, read->columns}, [read](void*) {}, torch::kFloat);
              },
          .weight = hparams.mom2_update_weight,
          .null_space = projected,
          .threshold = hparams.nullspace_threshold,
          .l2 = hparams.L2};
}

}  // namespace anchorage::worker
