#include "worker/editing/unused_hparams.hpp"

#include <algorithm>
#include <array>

namespace anchorage::worker {
namespace {

struct Condition {
  bool (*holds)(const Method& method, const io::Hparams& hparams);
  std::string_view words;
};

constexpr Condition adam{
    [](const Method&, const io::Hparams& h) { return h.v_optimizer == io::ValueOptimizer::adam; },
    "v_optimizer: adam"};
constexpr Condition ngd{
    [](const Method&, const io::Hparams& h) { return h.v_optimizer == io::ValueOptimizer::ngd; },
    "v_optimizer: ngd"};
constexpr Condition generated_contexts{[](const Method&, const io::Hparams& h) { return h.contexts > 1; },
                                       "more than one context"};
constexpr Condition guarded{[](const Method&, const io::Hparams& h) { return h.guard; }, "guard: true"};

constexpr Condition one_phase{[](const Method& m, const io::Hparams& h) { return !compresses(m, h); },
                              "values without anchors; eac_locate_steps and eac_compress_steps count otherwise"};
constexpr Condition two_phases{compresses, "values that are compressed to anchors (eac, b-eac)"};
constexpr Condition spread_anchors{[](const Method& m, const io::Hparams&) { return m.anchored && !m.joint; },
                                   "--method eac; that of b-eac is anchor_ratio"};

constexpr Condition null_space{[](const Method& m, const io::Hparams&) { return m.null_space; },
                               "--method alphaedit"};
constexpr Condition weighted{[](const Method& m, const io::Hparams&) { return !m.null_space; },
                             "methods other than alphaedit; its ridge is L2"};

constexpr Condition joint{[](const Method& m, const io::Hparams&) { return m.joint; }, "--method b-eac"};
constexpr Condition selected{[](const Method& m, const io::Hparams& h) { return m.joint && h.anchors; },
                             "--method b-eac with anchors: true"};
constexpr Condition by_mass{
    [](const Method& m, const io::Hparams& h) { return selected.holds(m, h) && !h.anchor_ratio; },
    "--method b-eac with anchor_ratio: auto"};
constexpr Condition constrained{[](const Method& m, const io::Hparams& h) { return selected.holds(m, h) && h.las; },
                                "--method b-eac with las: true"};
constexpr Condition refreshed{[](const Method& m, const io::Hparams& h) { return selected.holds(m, h) && h.rar; },
                              "--method b-eac with rar: true"};

struct ConditionOfKey {
  std::string_view key;
  Condition condition;
};

constexpr std::array conditions{
    ConditionOfKey{"v_num_grad_steps", one_phase},
    ConditionOfKey{"v_lr", adam},
    ConditionOfKey{"ngd_step", ngd},
    ConditionOfKey{"context_length", generated_contexts},
    ConditionOfKey{"mom2_update_weight", weighted},
    ConditionOfKey{"correction_sweeps", joint},
    ConditionOfKey{"nullspace_threshold", null_space},
    ConditionOfKey{"L2", null_space},
    ConditionOfKey{"eac_locate_steps", two_phases},
    ConditionOfKey{"eac_compress_steps", two_phases},
    ConditionOfKey{"eac_anchor_ratio", spread_anchors},
    ConditionOfKey{"eac_l1", two_phases},
    ConditionOfKey{"anchors", joint},
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

std::string_view unmet_condition(std::string_view key, const Method& method, const io::Hparams& hparams) {
  const auto* found = std::ranges::find(conditions, key, &ConditionOfKey::key);
  if (found == conditions.end() || found->condition.holds(method, hparams)) return "";
  return found->condition.words;
}

}  // namespace anchorage::worker
