// Losses of next tokens: forward a block a row; backward blockIdx.x is the row, whose blocks share its entries.
// What it computes stands in worker/kernels/token_loss.hpp.
#include "worker/kernels/cuda/elements.cuh"

namespace anchorage::worker::kernels::device {

template <class T>
__global__ void __launch_bounds__(1024) loss_rows(LossRows loss) {
  using W = Wide<T>;
  W* of_warps = shared_memory<W>();
  const std::int64_t row = blockIdx.x;
  const T* logits = static_cast<const T*>(loss.logits) + row * loss.width;
  W mine = -infinity(W());
  for (std::int64_t i = threadIdx.x; i < loss.width; i += blockDim.x) mine = Highest()(mine, wide(logits[i]));
  const W highest = over_block(mine, Highest(), of_warps);
  mine = 0;
  for (std::int64_t i = threadIdx.x; i < loss.width; i += blockDim.x) mine += power(wide(logits[i]) - highest);
  const W total = highest + logarithm(over_block(mine, Sum(), of_warps));
  W* result = static_cast<W*>(loss.losses) + row;
  if (threadIdx.x == 0) static_cast<W*>(loss.totals)[row] = total;
  if (row < loss.predicted) {
    // The target is missed unless it is the first of the most probable tokens.
    const std::int64_t target = loss.targets[row];
    mine = 0;
    for (std::int64_t i = threadIdx.x; i < target; i += blockDim.x) mine = wide(logits[i]) >= highest ? 1 : mine;
    const bool is_later = over_block(mine, Highest(), of_warps) > 0;
    if (threadIdx.x == 0) {
      const W of_target = wide(logits[target]);
      *result = total - of_target;
      loss.missed[row] = is_later || !(of_target >= highest);
    }
    return;
  }
  const W* before = static_cast<const W*>(loss.before) + (row - loss.predicted) * loss.width;
  mine = 0;
  for (std::int64_t i = threadIdx.x; i < loss.width; i += blockDim.x)
    mine += power(before[i]) * (before[i] - wide(logits[i]) + total);
  const W divergence = over_block(mine, Sum(), of_warps);
  if (threadIdx.x == 0) *result = divergence;
}

// The gradient of -log p_t by the logits is p - [i = t], that of KL(p_0 || p) is p - p_0.
template <class T>
__global__ void loss_rows_back(LossRows loss) {
  using W = Wide<T>;
  const std::int64_t row = blockIdx.x, step = static_cast<std::int64_t>(gridDim.y) * blockDim.x;
  const T* logits = static_cast<const T*>(loss.logits) + row * loss.width;
  T* result = static_cast<T*>(loss.logits_gradient) + row * loss.width;
  const W total = static_cast<const W*>(loss.totals)[row], gradient = static_cast<const W*>(loss.gradient)[row];
  const bool has_target = row < loss.predicted;
  const std::int64_t target = has_target ? loss.targets[row] : -1;
  const W* before = has_target ? nullptr : static_cast<const W*>(loss.before) + (row - loss.predicted) * loss.width;
  for (std::int64_t i = blockIdx.y * blockDim.x + threadIdx.x; i < loss.width; i += step) {
    W apart = power(wide(logits[i]) - total);
    if (before) apart -= power(before[i]);
    if (i == target) apart -= 1;
    result[i] = narrow<T>(gradient * apart);
  }
}

}  // namespace anchorage::worker::kernels::device
