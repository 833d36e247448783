#include "worker/kernels/cuda/kernel.hpp"

#include <algorithm>

namespace anchorage::worker::kernels::cuda {
namespace {

constexpr std::int64_t warp = 32;

// Shared memory for what each warp has, as wide as can be.
constexpr std::size_t of_warps = warp * sizeof(double);

std::int64_t divided_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

// As many threads as give each so many entries, in whole warps.
unsigned threads_for(std::int64_t width, std::int64_t entries, std::int64_t most) {
  return static_cast<unsigned>(std::clamp(divided_up(width, entries * warp) * warp, warp, most));
}

}  // namespace

Grid block_per_row(std::int64_t rows, std::int64_t width) {
  return {.x = rows, .y = 1, .threads = threads_for(width, 8, 1024), .shared_bytes = of_warps};
}

Grid blocks_over_rows(std::int64_t rows, std::int64_t width) {
  const unsigned threads = threads_for(width, 1, 256);
  return {.x = rows, .y = std::clamp<std::int64_t>(divided_up(width, 4 * threads), 1, 65535), .threads = threads};
}

Grid block_per_query(const AttentionRows& attention, std::int64_t tokens) {
  const auto entries = static_cast<std::size_t>(2 * attention.width + attention.columns);
  return {.x = tokens,
          .y = attention.heads,
          .threads = threads_for(attention.width, 1, 128),
          .shared_bytes = entries * sizeof(double) + of_warps};
}

Grid block_per_column(const AttentionRows& attention, std::int64_t tokens) {
  return {.x = tokens, .y = attention.groups, .threads = threads_for(attention.width, 1, 128)};
}

}  // namespace anchorage::worker::kernels::cuda
