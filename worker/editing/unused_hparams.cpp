#include "worker/editing/unused_hparams.hpp"

#include <algorithm>
#include <array>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

struct Condition {
  bool (*holds)(const Method& method, const io::Hparams& hparams);
  std::string (*words)();
};

std::string for_methods(bool (*hold)(const Method&), std::string_view more = "") {
  return fmt::format("--method {}{}", methods_that(hold), more);
}

bool is_joint(const Method& method) {
  return method.solve == Solve::joint;
}
bool writes_in_turn(const Method& method) {
  return method.solve == Solve::in_turn;
}
bool takes_top_saliency(const Method& method) {
  return method.value_transform == ValueTransform::top_saliency;
}
bool selects_by_layer(const Method& method) {
  return method.value_transform == ValueTransform::layer_wise_selection;
}
bool has_ridge(const Method& method) {
  return method.prior == Prior::ridge;
}
bool has_null_space(const Method& method) {
  return method.update_transform == UpdateTransform::null_space;
}

const Condition adam{[](const Method&, const io::Hparams& h) { return h.v_optimizer == io::ValueOptimizer::adam; },
                     [] { return std::string("v_optimizer: adam"); }};
const Condition ngd{[](const Method&, const io::Hparams& h) { return h.v_optimizer == io::ValueOptimizer::ngd; },
                    [] { return std::string("v_optimizer: ngd"); }};
const Condition generated_contexts{[](const Method&, const io::Hparams& h) { return h.contexts > 1; },
                                   [] { return std::string("more than one context"); }};
const Condition guarded{[](const Method&, const io::Hparams& h) { return h.guard; },
                        [] { return std::string("guard: true"); }};

const Condition one_phase{
    [](const Method& m, const io::Hparams& h) { return !compresses(m, h); },
    [] { return std::string("values without anchors; eac_locate_steps and eac_compress_steps count otherwise"); }};
const Condition two_phases{
    compresses, [] {
      return fmt::format("values that are compressed to anchors ({})",
                         methods_that([](const Method& m) { return m.value_transform != ValueTransform::none; }));
    }};
const Condition top_saliency{[](const Method& m, const io::Hparams&) { return takes_top_saliency(m); },
                             [] {
                               return for_methods(takes_top_saliency, fmt::format("; that of {} is anchor_ratio",
                                                                                  methods_that(selects_by_layer)));
                             }};

const Condition null_space{[](const Method& m, const io::Hparams&) { return has_null_space(m); },
                           [] { return for_methods(has_null_space); }};
const Condition weighted{
    [](const Method& m, const io::Hparams&) { return !has_ridge(m); },
    [] { return fmt::format("methods other than {}; its ridge is L2", methods_that(has_ridge)); }};

const Condition in_turn{[](const Method& m, const io::Hparams&) { return writes_in_turn(m); },
                        [] { return for_methods(writes_in_turn); }};
const Condition joint{[](const Method& m, const io::Hparams&) { return is_joint(m); },
                      [] { return for_methods(is_joint); }};
const Condition selecting{[](const Method& m, const io::Hparams&) { return selects_by_layer(m); },
                          [] { return for_methods(selects_by_layer); }};
const Condition selected{selects_anchors, [] { return for_methods(selects_by_layer, " with anchors: true"); }};
const Condition by_mass{
    [](const Method& m, const io::Hparams& h) { return selects_anchors(m, h) && !h.anchor_ratio; },
    [] { return for_methods(selects_by_layer, " with anchor_ratio: auto"); }};
const Condition constrained{[](const Method& m, const io::Hparams& h) { return selects_anchors(m, h) && h.las; },
                            [] { return for_methods(selects_by_layer, " with las: true"); }};
const Condition refreshed{[](const Method& m, const io::Hparams& h) { return selects_anchors(m, h) && h.rar; },
                          [] { return for_methods(selects_by_layer, " with rar: true"); }};

struct ConditionOfKey {
  std::string_view key;
  Condition condition;
};

const std::array conditions{
    ConditionOfKey{"v_num_grad_steps", one_phase},
    ConditionOfKey{"v_lr", adam},
    ConditionOfKey{"ngd_step", ngd},
    ConditionOfKey{"context_length", generated_contexts},
    ConditionOfKey{"target_norm", in_turn},
    ConditionOfKey{"mom2_update_weight", weighted},
    ConditionOfKey{"correction_sweeps", joint},
    ConditionOfKey{"nullspace_threshold", null_space},
    ConditionOfKey{"L2", null_space},
    ConditionOfKey{"eac_locate_steps", two_phases},
    ConditionOfKey{"eac_compress_steps", two_phases},
    ConditionOfKey{"eac_anchor_ratio", top_saliency},
    ConditionOfKey{"eac_l1", two_phases},
    ConditionOfKey{"anchors", selecting},
    ConditionOfKey{"las", selected},
    ConditionOfKey{"anchor_ratio", selected},
    ConditionOfKey{"anchor_mass", by_mass},
    ConditionOfKey{"las_balance", constrained},
    ConditionOfKey{"las_capacity", constrained},
    ConditionOfKey{"rar", selected},
    ConditionOfKey{"rar_decay", refreshed},
    ConditionOfKey{"rar_strength", refreshed},
    ConditionOfKey{"guard_success", guarded},
    ConditionOfKey{"guard_loss_rise", guarded},
    ConditionOfKey{"guard_drift", guarded},
};

}  // namespace

std::string unmet_condition(std::string_view key, const Method& method, const io::Hparams& hparams) {
  const auto* found = std::ranges::find(conditions, key, &ConditionOfKey::key);
  if (found == conditions.end() || found->condition.holds(method, hparams)) return "";
  return found->condition.words();
}

}  // namespace anchorage::worker
