#include "worker/kernels/token_rows.hpp"

#include <torch/utils.h>

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "io/error.hpp"
#include "worker/index_tensor.hpp"
#include "worker/kernels/recorded_node.hpp"
#include "worker/kernels/rows.hpp"

namespace anchorage::worker::kernels {
namespace {

using torch::autograd::variable_list;

// A node of one output: what takes its gradient to those by the inputs.
class RowsNode : public torch::autograd::Node {
 public:
  using Backward = std::function<variable_list(const torch::Tensor& gradient)>;

  RowsNode(std::string name, std::size_t inputs, Backward backward)
      : name_(std::move(name)), inputs_(inputs), backward_(std::move(backward)) {}

  variable_list apply(variable_list&& gradients) override {
    const torch::NoGradGuard no_gradients;
    return gradients[0].defined() ? backward_(gradients[0]) : variable_list(inputs_);
  }
  std::string name() const override { return name_; }

 private:
  std::string name_;
  std::size_t inputs_;
  Backward backward_;
};

// Returns what `forward` does with the inputs, recorded where gradients are.
template <class Forward>
torch::Tensor recorded(const char* name, const variable_list& inputs, const Forward& forward,
                       RowsNode::Backward backward) {
  torch::Tensor output;
  {
    const torch::NoGradGuard no_gradients;
    output = forward();
  }
  if (torch::autograd::compute_requires_grad(inputs))
    record(std::make_unique<RowsNode>(name, inputs.size(), std::move(backward)), inputs, {output});
  return output;
}

torch::Tensor where_taken(const TokenRows& index, const torch::Tensor& rows) {
  return rows.index_select(0, index.inverse).masked_fill(index.is_taken.logical_not(), 0);
}

}  // namespace

TokenRows token_rows(const std::vector<std::int64_t>& taken, std::int64_t tokens, torch::Device device) {
  std::vector<std::int64_t> inverse(static_cast<std::size_t>(tokens), 0), is_taken(inverse);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    io::check(is_taken[static_cast<std::size_t>(taken[i])] == 0, "a token that is taken twice");
    inverse[static_cast<std::size_t>(taken[i])] = static_cast<std::int64_t>(i);
    is_taken[static_cast<std::size_t>(taken[i])] = 1;
  }
  return {index_tensor(taken, device), index_tensor(inverse, device),
          index_tensor(is_taken, device).eq(1).unsqueeze(1)};
}

torch::Tensor take_rows(const TokenRows& index, const torch::Tensor& hidden) {
  return recorded(
      "TakeRows", {hidden}, [&] { return hidden.index_select(0, index.taken); },
      [index](const torch::Tensor& gradient) -> variable_list { return {where_taken(index, gradient)}; });
}

torch::Tensor add_rows(const TokenRows& index, const torch::Tensor& hidden, const torch::Tensor& rows) {
  return recorded(
      "AddRows", {hidden, rows},
      [&] { return at::where(index.is_taken, hidden + rows.index_select(0, index.inverse), hidden); },
      [index](const torch::Tensor& gradient) -> variable_list {
        return {gradient, gradient.index_select(0, index.taken)};
      });
}

torch::Tensor replace_rows(const TokenRows& index, const torch::Tensor& hidden, const torch::Tensor& rows) {
  return recorded(
      "ReplaceRows", {hidden, rows},
      [&] { return at::where(index.is_taken, rows.index_select(0, index.inverse), hidden); },
      [index](const torch::Tensor& gradient) -> variable_list {
        return {gradient.masked_fill(index.is_taken, 0), gradient.index_select(0, index.taken)};
      });
}

RowRepeats row_repeats(const std::vector<std::int64_t>& of_row, std::int64_t vectors, torch::Device device) {
  std::vector<std::vector<std::int64_t>> rows(static_cast<std::size_t>(vectors));
  for (std::size_t row = 0; row < of_row.size(); ++row)
    rows[static_cast<std::size_t>(of_row[row])].push_back(static_cast<std::int64_t>(row));
  std::size_t most = 0;
  for (const auto& of_vector : rows) most = std::max(most, of_vector.size());
  std::vector<std::int64_t> padded, is_row;
  for (const auto& of_vector : rows) {
    for (std::size_t i = 0; i < most; ++i) {
      padded.push_back(i < of_vector.size() ? of_vector[i] : 0);
      is_row.push_back(i < of_vector.size() ? 1 : 0);
    }
  }
  return {index_tensor(of_row, device), index_tensor(padded, device),
          index_tensor(is_row, device).eq(1).view({vectors, static_cast<std::int64_t>(most), 1})};
}

torch::Tensor repeat_rows(const RowRepeats& repeats, const torch::Tensor& vectors) {
  return recorded(
      "RepeatRows", {vectors}, [&] { return vectors.index_select(0, repeats.of_row); },
      [repeats](const torch::Tensor& gradient) -> variable_list {
        const std::int64_t count = repeats.is_row.size(0), most = repeats.is_row.size(1);
        const auto parts = gradient.index_select(0, repeats.rows)
                               .view({count, most, gradient.size(1)})
                               .masked_fill(repeats.is_row.logical_not(), 0);
        const auto wide = gradient.options().dtype(wide_of(gradient.scalar_type()));
        auto sum = torch::zeros({count, gradient.size(1)}, wide);
        for (std::int64_t i = 0; i < most; ++i) sum.add_(parts.select(1, i));
        return {sum.to(gradient.scalar_type())};
      });
}

}  // namespace anchorage::worker::kernels
