#include "worker/model/attention_before.hpp"

#include <algorithm>
#include <vector>

namespace anchorage::worker {
namespace {

// Returns the first `lengths[r]` packed attention vectors [tokens, G, e] of each row as [rows, past, G, e],
// padded with zeros.
torch::Tensor prefixes(const torch::Tensor& packed, const TokenLayout& whole, std::span<const std::int64_t> lengths,
                       std::int64_t past) {
  std::vector<std::int64_t> from, to;
  for (std::int64_t row = 0; row < whole.rows; ++row) {
    for (std::int64_t position = 0; position < lengths[static_cast<std::size_t>(row)]; ++position) {
      from.push_back(whole.packed(row, position));
      to.push_back(row * past + position);
    }
  }
  auto padded = torch::zeros({whole.rows * past, packed.size(1), packed.size(2)}, packed.options());
  padded.index_copy_(0, index_tensor(to, packed.device()),
                     packed.index_select(0, index_tensor(from, packed.device())));
  return padded.view({whole.rows, past, packed.size(1), packed.size(2)});
}

}  // namespace

AttentionCache attention_before(const BlockOutput& output, const TokenLayout& whole,
                                std::span<const std::int64_t> first_position) {
  const std::int64_t past = std::ranges::max(first_position);
  return {prefixes(output.attention_keys, whole, first_position, past),
          prefixes(output.attention_values, whole, first_position, past)};
}

}  // namespace anchorage::worker
