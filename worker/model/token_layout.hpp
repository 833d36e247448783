// Lays out the tokens of several prompts (rows) of different lengths for the model.
//
// Everything but attention works on single tokens, packed one after another: [tokens, d]. Attention sees them
// padded: [rows, length, d]. A layout may hold only the end of each row (a *suffix*), when attention's keys
// and values of the positions before are cached.
#pragma once

#include <torch/types.h>

#include <span>
#include <vector>

#include "worker/index_tensor.hpp"

namespace anchorage::worker {

using TokenIds = std::vector<std::int32_t>;

struct TokenLayout {
  std::int64_t rows = 0;
  std::int64_t length = 0;       // of the longest row here
  std::int64_t past = 0;         // length of the longest cached prefix; that of row r covers [0, first_position[r])
  std::int64_t longest_row = 0;  // its tokens, those before the suffix included
  std::vector<std::int64_t> first_position;  // [rows]: position in the whole row of the row's first token here
  std::vector<std::int64_t> row_begin;       // [rows + 1]: where each row begins in the packed tokens
  torch::Tensor ids;                         // [tokens] i64
  torch::Tensor positions;                   // [tokens] i64: position in the whole row
  torch::Tensor padded_index;                // [tokens] i64: row * length + position - first_position[row]
  torch::Tensor packed_index;                // [rows * length] i64: the packed token; beyond a row's end, its last
  torch::Tensor row_of_token;                // [tokens] i64
  torch::Tensor row_begin_here;              // [rows + 1] i64: row_begin, on the device
  torch::Tensor first_position_here;         // [rows] i64: first_position, on the device
  torch::Tensor mask;  // [rows, 1, length, past + length] f32: 0 where a query sees a key, else -inf

  std::int64_t tokens() const { return row_begin.back(); }
  // Returns how many tokens a row has, those before the suffix included.
  std::int64_t row_length(std::int64_t row) const {
    const auto r = static_cast<std::size_t>(row);
    return first_position[r] + row_begin[r + 1] - row_begin[r];
  }
  // Returns the index of a row's token in the packed tokens, by its position in the whole row.
  std::int64_t packed(std::int64_t row, std::int64_t position) const {
    return row_begin[static_cast<std::size_t>(row)] + position - first_position[static_cast<std::size_t>(row)];
  }
};

// Lays out the rows from `first_position[r]` (all zero when empty) to their ends.
TokenLayout lay_out(std::span<const TokenIds> rows, std::span<const std::int64_t> first_position,
                    torch::Device device);

// Returns what hides from each query the keys that are `window` or more positions before it: 0 or -inf, f32, of the
// shape of the layout's mask, to be added to it.
torch::Tensor window_mask(const TokenLayout& layout, std::int64_t window);

}  // namespace anchorage::worker
