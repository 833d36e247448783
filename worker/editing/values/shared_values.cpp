#include "worker/editing/values/shared_values.hpp"

#include <map>
#include <string_view>

namespace anchorage::worker {
namespace {

// Replaces the rows at each of `members` by what `replacement` makes of them: the same number of rows, or one for
// all.
template <class Replacement>
torch::Tensor with_replaced(const torch::Tensor& rows, const std::vector<torch::Tensor>& members,
                            Replacement replacement) {
  if (members.empty()) return rows;
  auto replaced = rows.clone();
  for (const torch::Tensor& index : members) {
    const auto own = rows.index_select(0, index);
    replaced.index_copy_(0, index, replacement(own).expand_as(own).contiguous());
  }
  return replaced;
}

}  // namespace

SharedValues::SharedValues(std::span<const EditPrompts> edits, const io::Hparams& hparams, torch::Device device) {
  if (!hparams.merge_subjects) return;
  std::map<std::string_view, std::vector<std::int64_t>> of_subject;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (!edits[i].subject.empty()) of_subject[edits[i].subject].push_back(static_cast<std::int64_t>(i));
  }
  for (const auto& [subject, members] : of_subject) {
    if (members.size() > 1) members_.push_back(index_tensor(members, device));
  }
}

torch::Tensor SharedValues::mean_of(const torch::Tensor& rows) const {
  return with_replaced(rows, members_, [](const torch::Tensor& own) { return own.mean(0, /*keepdim=*/true); });
}

torch::Tensor SharedValues::any_of(const torch::Tensor& rows) const {
  return with_replaced(rows, members_, [](const torch::Tensor& own) { return own.any(0, /*keepdim=*/true); });
}

torch::Tensor SharedValues::first_of(const torch::Tensor& rows) const {
  return with_replaced(rows, members_, [](const torch::Tensor& own) { return own.narrow(0, 0, 1); });
}

torch::Tensor SharedValues::once(const torch::Tensor& rows) const {
  return with_replaced(rows, members_, [](const torch::Tensor& own) {
    auto first_alone = torch::zeros_like(own);
    first_alone[0].copy_(own[0]);
    return first_alone;
  });
}

}  // namespace anchorage::worker
