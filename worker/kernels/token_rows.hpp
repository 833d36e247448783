// Rows of packed tokens that are taken out, added to and replaced, with gradients by gathers.
//
// torch's own gradient of an index_select is an index_add, which its deterministic algorithms sort on a GPU, with a
// dozen kernels, as they do index_add and index_copy themselves. Here each token is taken once, so an inverse index
// says where its gradient comes from. The results are the bits of torch's operations on a CPU.
#pragma once

#include <torch/types.h>

#include <vector>

namespace anchorage::worker::kernels {

// Which tokens are taken, n of them.
struct TokenRows {
  torch::Tensor taken;     // [n] i64: tokens, each once
  torch::Tensor inverse;   // [tokens] i64: where a token stands in `taken`; 0 where it does not
  torch::Tensor is_taken;  // [tokens, 1] bool
};

TokenRows token_rows(const std::vector<std::int64_t>& taken, std::int64_t tokens, torch::Device device);

// Return what is differentiable by `hidden` [tokens, d] and by `rows` [n, d]:
// those of its rows that are taken [n, d],
torch::Tensor take_rows(const TokenRows& index, const torch::Tensor& hidden);
// and [tokens, d] with `rows` added to them, or in their place.
torch::Tensor add_rows(const TokenRows& index, const torch::Tensor& hidden, const torch::Tensor& rows);
torch::Tensor replace_rows(const TokenRows& index, const torch::Tensor& hidden, const torch::Tensor& rows);

// Which rows a vector is repeated in.
struct RowRepeats {
  torch::Tensor of_row;  // [n] i64: the vector
  torch::Tensor rows;    // [vectors * most] i64: the rows of each vector in their order, 0 where there are less
  torch::Tensor is_row;  // [vectors, most, 1] bool
};

RowRepeats row_repeats(const std::vector<std::int64_t>& of_row, std::int64_t vectors, torch::Device device);

// Returns [n, d] of `vectors` [vectors, d], differentiable: the gradient of a vector adds those of its rows one
// after another in f32 (of f64 in f64), and is rounded once.
torch::Tensor repeat_rows(const RowRepeats& repeats, const torch::Tensor& vectors);

}  // namespace anchorage::worker::kernels
