#include "worker/editing/method.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <ranges>
#include <vector>

#include "io/error.hpp"
#include "io/text/alternatives.hpp"

namespace anchorage::worker {
namespace {

constexpr std::array table{
    Method{.name = "b-eac",
           .values = ValueRule::every_layer,
           .value_transform = ValueTransform::layer_wise_selection,
           .prior = Prior::second_moment,
           .update_transform = UpdateTransform::none,
           .solve = Solve::joint,
           .carries_keys = true},
    Method{.name = "memit",
           .values = ValueRule::last_layer,
           .value_transform = ValueTransform::none,
           .prior = Prior::second_moment,
           .update_transform = UpdateTransform::none,
           .solve = Solve::in_turn,
           .carries_keys = false},
    Method{.name = "memit_seq",
           .values = ValueRule::last_layer,
           .value_transform = ValueTransform::none,
           .prior = Prior::second_moment,
           .update_transform = UpdateTransform::none,
           .solve = Solve::in_turn,
           .carries_keys = true},
    Method{.name = "eac",
           .values = ValueRule::last_layer,
           .value_transform = ValueTransform::top_saliency,
           .prior = Prior::second_moment,
           .update_transform = UpdateTransform::none,
           .solve = Solve::in_turn,
           .carries_keys = true},
    Method{.name = "alphaedit",
           .values = ValueRule::last_layer,
           .value_transform = ValueTransform::none,
           .prior = Prior::ridge,
           .update_transform = UpdateTransform::null_space,
           .solve = Solve::in_turn,
           .carries_keys = true},
};

}  // namespace

std::span<const Method> methods() {
  return table;
}

const Method& method_named(std::string_view name) {
  const auto* found = std::ranges::find(table, name, &Method::name);
  if (found != table.end()) return *found;
  throw io::UserError({.expected = "a method out of " + method_names(),
                       .found = fmt::format("'{}'", name),
                       .where = "--method",
                       .remedy = ""});
}

std::string method_names() {
  return fmt::format("{}", fmt::join(std::views::transform(table, &Method::name), ", "));
}

std::string methods_that(const std::function<bool(const Method&)>& holds) {
  std::vector<std::string_view> names;
  for (const Method& method : table) {
    if (holds(method)) names.push_back(method.name);
  }
  return io::alternatives(names);
}

void check_strategies(const Method& method) {
  const bool every_layer = method.values == ValueRule::every_layer;
  const bool fits = (method.value_transform != ValueTransform::layer_wise_selection || every_layer) &&
                    (method.value_transform != ValueTransform::top_saliency || !every_layer) &&
                    (method.solve == Solve::joint) == every_layer &&
                    (method.prior == Prior::ridge) == (method.update_transform == UpdateTransform::null_space);
  io::check(fits, fmt::format("the strategies of {} do not go together", method.name));
}

bool selects_anchors(const Method& method, const io::Hparams& hparams) {
  return method.value_transform == ValueTransform::layer_wise_selection && hparams.anchors;
}

bool compresses(const Method& method, const io::Hparams& hparams) {
  return method.value_transform == ValueTransform::top_saliency || selects_anchors(method, hparams);
}

std::int64_t evaluations_of(const Method& method, const io::Hparams& hparams) {
  return compresses(method, hparams) ? hparams.eac_locate_steps + hparams.eac_compress_steps
                                     : hparams.v_num_grad_steps;
}

}  // namespace anchorage::worker
