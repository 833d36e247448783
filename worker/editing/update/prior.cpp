#include "worker/editing/update/prior.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <memory>
#include <utility>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t moment_rows_at_a_time = 256;  // of subjects' moments, in memory beside the mixture

// [rows, f] f32
torch::Tensor matrix_tensor(io::Matrix matrix) {
  auto kept = std::make_shared<io::Matrix>(std::move(matrix));
  return torch::from_blob(
      kept->values.data(), {kept->rows, kept->columns}, [kept](void*) {}, torch::kFloat);
}

torch::Tensor rows_of_text(const io::StatisticsFile& statistics, std::int64_t layer, sharding::Range rows) {
  return matrix_tensor(statistics.moment_rows(layer, rows.begin, rows.end));
}

// [rows, f] f64. Each entry is rounded three times, whatever rows are asked for with it.
torch::Tensor rows_of_mixture(const io::StatisticsFile& statistics, std::int64_t layer, sharding::Range rows,
                              double share) {
  auto mixture = rows_of_text(statistics, layer, rows).to(torch::kDouble).mul_(1 - share);
  for (std::int64_t begin = rows.begin; begin < rows.end; begin += moment_rows_at_a_time) {
    const std::int64_t end = std::min(begin + moment_rows_at_a_time, rows.end);
    const auto subjects = matrix_tensor(statistics.subject_moment_rows(layer, begin, end)).to(torch::kDouble);
    mixture.narrow(0, begin - rows.begin, end - begin).add_(subjects * share);
  }
  return mixture;
}

ProtectedKeyRows protection_of(const std::optional<io::ProtectedKeys>& keys, std::int64_t layer, double weight) {
  if (!keys) return {};
  return {.count = keys->count(),
          .rows = [keys = *keys,
                   layer](sharding::Range rows) { return matrix_tensor(keys.rows(layer, rows.begin, rows.end)); },
          .weight = weight};
}

}  // namespace

KeyPrior key_prior_of(const Method& method, const io::Hparams& hparams, const io::StatisticsFile& statistics,
                      std::int64_t layer, const std::optional<io::ProtectedKeys>& protected_keys) {
  const bool projected = method.update_transform == UpdateTransform::null_space;
  io::check((method.prior == Prior::ridge) == projected, "a prior and a projection that do not go together");
  const double share = hparams.subject_share;
  return {.moment =
              [&statistics, layer, share](sharding::Range rows) {
                return share == 0 ? rows_of_text(statistics, layer, rows)
                                  : rows_of_mixture(statistics, layer, rows, share);
              },
          .weight = hparams.mom2_update_weight,
          .null_space = projected,
          .threshold = hparams.nullspace_threshold,
          .l2 = hparams.L2,
          .protection = protection_of(protected_keys, layer, hparams.protect_weight)};
}

}  // namespace anchorage::worker
