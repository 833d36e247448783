// Attention of packed texts, for the tests of its forms.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "tests/unit/worker/kernels/kernel_cases.hpp"
#include "worker/kernels/attention.hpp"
#include "worker/kernels/rows.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::tests {

// Texts of several lengths, from several first positions on.
struct AttentionCase {
  worker::TokenLayout layout;
  worker::kernels::AttentionArguments arguments;
  torch::Tensor joined;
};

struct AttentionShape {
  std::vector<std::int64_t> lengths = {5, 3, 9}, first = {3, 0, 4};
  std::int64_t heads = 4, groups = 2, width = 8, window = 0;
  double cap = 0;
};

inline std::unique_ptr<AttentionCase> attention_case(const AttentionShape& shape, torch::ScalarType dtype,
                                                     torch::Device device = torch::kCPU) {
  auto made = std::make_unique<AttentionCase>();
  std::vector<worker::TokenIds> rows;
  for (const std::int64_t length : shape.lengths) rows.emplace_back(static_cast<std::size_t>(length));
  made->layout = worker::lay_out(rows, shape.first, device);
  const worker::TokenLayout& layout = made->layout;
  auto mask = layout.mask;
  if (shape.window > 0) mask = mask + worker::window_mask(layout, shape.window);
  made->arguments = {.heads = shape.heads,
                     .groups = shape.groups,
                     .divisor = std::sqrt(static_cast<double>(shape.width)),
                     .cap = shape.cap,
                     .window = shape.window,
                     .columns = layout.longest_row,
                     .row_begin = layout.row_begin_here,
                     .first_position = layout.first_position_here,
                     .text_of_token = layout.row_of_token,
                     .padded_index = layout.padded_index,
                     .packed_index = layout.packed_index,
                     .mask = mask.to(worker::kernels::wide_of(dtype)),
                     .cached_keys = {},
                     .cached_values = {}};
  if (layout.past > 0) {
    const std::vector<std::int64_t> cached{layout.rows, layout.past + 2, shape.groups, shape.width};
    // Longer than what is seen, as it is when texts have left the group.
    made->arguments.cached_keys = random_values(cached, dtype, device).narrow(1, 0, layout.past);
    made->arguments.cached_values = random_values(cached, dtype, device).narrow(1, 0, layout.past);
  }
  made->joined = random_values({layout.tokens(), shape.heads + 2 * shape.groups, shape.width}, dtype, device);
  return made;
}

inline const AttentionShape attention_shapes[] = {{},
                                                  {.width = 5},
                                                  {.heads = 3, .groups = 1, .width = 19},
                                                  {.lengths = {1, 4, 2}, .first = {0, 0, 0}},
                                                  {.lengths = {30, 17, 20}, .first = {20, 16, 0}, .window = 4},
                                                  {.window = 2, .cap = 1.5}};

}  // namespace anchorage::tests
