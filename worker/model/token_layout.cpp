#include "worker/model/token_layout.hpp"

#include <algorithm>
#include <limits>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

// Makes the mask: 0 where the query at `first + t` of a row sees the key, at cached positions before `first`,
// its own and earlier ones here. Padded queries see everything, so that no row of the softmax is empty.
torch::Tensor causal_mask(const TokenLayout& layout) {
  const auto hidden = -std::numeric_limits<float>::infinity();
  auto mask = torch::full({layout.rows, 1, layout.length, layout.past + layout.length}, hidden);
  auto entry = mask.accessor<float, 4>();
  for (std::int64_t row = 0; row < layout.rows; ++row) {
    const auto r = static_cast<std::size_t>(row);
    const std::int64_t own = layout.row_begin[r + 1] - layout.row_begin[r];
    for (std::int64_t t = 0; t < layout.length; ++t) {
      if (t >= own) {
        for (std::int64_t s = 0; s < layout.past + layout.length; ++s) entry[row][0][t][s] = 0;
        continue;
      }
      for (std::int64_t s = 0; s < layout.first_position[r]; ++s) entry[row][0][t][s] = 0;
      for (std::int64_t s = 0; s <= t; ++s) entry[row][0][t][layout.past + s] = 0;
    }
  }
  return mask;
}

}  // namespace

TokenLayout lay_out(std::span<const TokenIds> rows, std::span<const std::int64_t> first_position,
                    torch::Device device) {
  io::check(first_position.empty() || first_position.size() == rows.size(), "one first position a row");
  TokenLayout layout;
  layout.rows = static_cast<std::int64_t>(rows.size());
  layout.first_position.assign(rows.size(), 0);
  std::ranges::copy(first_position, layout.first_position.begin());
  layout.row_begin.assign(1, 0);
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::int64_t own = static_cast<std::int64_t>(rows[row].size()) - layout.first_position[row];
    io::check(own > 0, "a row without tokens");
    layout.length = std::max(layout.length, own);
    layout.past = std::max(layout.past, layout.first_position[row]);
    layout.longest_row = std::max(layout.longest_row, layout.first_position[row] + own);
    layout.row_begin.push_back(layout.row_begin.back() + own);
  }
  std::vector<std::int64_t> ids, positions, padded, packed, row_of_token;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const std::int64_t first = layout.first_position[row];
    for (std::int64_t position = first; position < static_cast<std::int64_t>(rows[row].size()); ++position) {
      ids.push_back(rows[row][static_cast<std::size_t>(position)]);
      positions.push_back(position);
      row_of_token.push_back(static_cast<std::int64_t>(row));
      padded.push_back(static_cast<std::int64_t>(row) * layout.length + position - first);
    }
    for (std::int64_t place = 0; place < layout.length; ++place)
      packed.push_back(std::min(layout.row_begin[row] + place, layout.row_begin[row + 1] - 1));
  }
  layout.ids = index_tensor(ids, device);
  layout.positions = index_tensor(positions, device);
  layout.padded_index = index_tensor(padded, device);
  layout.packed_index = index_tensor(packed, device);
  layout.row_of_token = index_tensor(row_of_token, device);
  layout.row_begin_here = index_tensor(layout.row_begin, device);
  layout.first_position_here = index_tensor(layout.first_position, device);
  layout.mask = causal_mask(layout).to(device);
  return layout;
}

torch::Tensor window_mask(const TokenLayout& layout, std::int64_t window) {
  const auto options = layout.ids.options();
  const auto first = layout.first_position_here.view({-1, 1, 1, 1});
  const auto here = torch::arange(layout.length, options);
  const auto queries = first + here.view({1, 1, -1, 1});
  // Columns of cached keys stand at their own positions, those after them from `first` on.
  const auto cached = torch::arange(layout.past, options).view({1, 1, 1, -1}).expand({layout.rows, 1, 1, -1});
  const auto keys = at::cat({cached, first + here.view({1, 1, 1, -1})}, -1);
  const auto mask =
      torch::zeros({layout.rows, 1, layout.length, layout.past + layout.length}, options.dtype(torch::kFloat));
  return mask.masked_fill(keys <= queries - window, -std::numeric_limits<float>::infinity());
}

}  // namespace anchorage::worker
