#include "worker/kernels/rotation.hpp"

#include <torch/utils.h>

#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {
namespace {

const RowKernel<RotationRows> turn{simd::rotate_rows, cuda::rotate_rows, cuda::blocks_over_rows};

}  // namespace

torch::Tensor rotate(const RotationArguments& rotation, const torch::Tensor& heads) {
  const std::int64_t turned = rotation.cosine.size(-1), rest = heads.size(-1) - turned;
  if (rest > 0) return at::cat({rotate(rotation, heads.narrow(-1, 0, turned)), heads.narrow(-1, turned, rest)}, -1);
  if (rotation.pairs == io::RotaryPairs::neighbors) {
    const auto pair = heads.unflatten(-1, {-1, 2});
    const auto quarter_turn = at::stack({-pair.select(-1, 1), pair.select(-1, 0)}, -1).flatten(-2);
    return heads * rotation.cosine + quarter_turn * rotation.sine;
  }
  const auto halves = heads.chunk(2, -1);
  return heads * rotation.cosine + at::cat({-halves[1], halves[0]}, -1) * rotation.sine;
}

void rotate_in_place(const RotationArguments& rotation, const torch::Tensor& joined, std::int64_t heads, bool back,
                     bool fused) {
  if (!fused || !are_fused_on(joined, cuda::rotation_family)) {
    const auto part = joined.narrow(1, 0, heads);
    part.copy_(rotate({rotation.pairs, rotation.cosine, back ? -rotation.sine : rotation.sine}, part));
    return;
  }
  const RotationRows rows{.element = element_of(joined),
                          .heads = heads,
                          .of_row = joined.size(1),
                          .width = joined.size(2),
                          .turned = rotation.cosine.size(-1),
                          .neighbors = rotation.pairs == io::RotaryPairs::neighbors,
                          .back = back,
                          .joined = joined.data_ptr(),
                          .cosine = rotation.cosine.const_data_ptr(),
                          .sine = rotation.sine.const_data_ptr()};
  run(turn, rows, joined.device(), joined.size(0), heads * rows.turned);
}

}  // namespace anchorage::worker::kernels
