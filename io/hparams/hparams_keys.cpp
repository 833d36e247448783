#include "io/hparams/hparams_keys.hpp"

#include <array>

namespace anchorage::io {
namespace {

constexpr Range positive{.least = 0, .least_allowed = false, .words = " above 0"};
constexpr Range not_negative{.least = 0, .words = " of at least 0"};
constexpr Range at_least_one{.least = 1, .words = " of at least 1"};
constexpr Range balance{.least = 1, .most = 1000, .words = " from 1 to 1000"};
constexpr Range above_one{.least = 1, .least_allowed = false, .words = " above 1"};
constexpr Range share{.least = 0, .most = 1, .least_allowed = false, .words = " above 0 and at most 1"};
constexpr Range share_or_none{.least = 0, .most = 1, .words = " from 0 to 1"};
constexpr Range decay{.least = 0, .most = 1, .most_allowed = false, .words = " of at least 0 and below 1"};

constexpr std::array keys{
    HparamKey{"layers", &Hparams::layers, not_negative},
    HparamKey{"layer_selection", &Hparams::layer_selection, {}, "all"},
    HparamKey{"fact_token", &Hparams::fact_token, {}, "subject_last"},
    HparamKey{"rewrite_module_tmp", &Hparams::rewrite_module_tmp},
    HparamKey{"layer_module_tmp", &Hparams::layer_module_tmp},
    HparamKey{"mlp_module_tmp", &Hparams::mlp_module_tmp},
    HparamKey{"attn_module_tmp", &Hparams::attn_module_tmp},
    HparamKey{"ln_f_module", &Hparams::ln_f_module},
    HparamKey{"lm_head_module", &Hparams::lm_head_module},
    HparamKey{"v_optimizer", &Hparams::v_optimizer},
    HparamKey{"v_num_grad_steps", &Hparams::v_num_grad_steps, at_least_one},
    HparamKey{"v_lr", &Hparams::v_lr, positive},
    HparamKey{"ngd_step", &Hparams::ngd_step, positive},
    HparamKey{"v_loss_layer", &Hparams::v_loss_layer, not_negative},
    HparamKey{"v_weight_decay", &Hparams::v_weight_decay, not_negative},
    HparamKey{"clamp_norm_factor", &Hparams::clamp_norm_factor, positive},
    HparamKey{"kl_factor", &Hparams::kl_factor, not_negative},
    HparamKey{"early_stop", &Hparams::early_stop},
    HparamKey{"early_stop_loss", &Hparams::early_stop_loss, not_negative},
    HparamKey{"target_end", &Hparams::target_end},
    HparamKey{"merge_subjects", &Hparams::merge_subjects},
    HparamKey{"contexts", &Hparams::contexts, at_least_one},
    HparamKey{"context_length", &Hparams::context_length, at_least_one},
    HparamKey{"sink_ratio", &Hparams::sink_ratio, above_one},
    HparamKey{"group", &Hparams::group, not_negative},
    HparamKey{"target_norm", &Hparams::target_norm, not_negative},
    HparamKey{"mom2_update_weight", &Hparams::mom2_update_weight, positive},
    HparamKey{"subject_share", &Hparams::subject_share, share_or_none},
    HparamKey{"protect_weight", &Hparams::protect_weight, positive},
    HparamKey{"correction_sweeps", &Hparams::correction_sweeps, not_negative},
    HparamKey{"nullspace_threshold", &Hparams::nullspace_threshold, positive},
    HparamKey{"L2", &Hparams::L2, positive},
    HparamKey{"eac_locate_steps", &Hparams::eac_locate_steps, at_least_one},
    HparamKey{"eac_compress_steps", &Hparams::eac_compress_steps, at_least_one},
    HparamKey{"eac_anchor_ratio", &Hparams::eac_anchor_ratio, share},
    HparamKey{"eac_l1", &Hparams::eac_l1, not_negative},
    HparamKey{"anchors", &Hparams::anchors},
    HparamKey{"las", &Hparams::las},
    HparamKey{"anchor_ratio", &Hparams::anchor_ratio, share},
    HparamKey{"anchor_mass", &Hparams::anchor_mass, share},
    HparamKey{"las_balance", &Hparams::las_balance, balance},
    HparamKey{"las_capacity", &Hparams::las_capacity, at_least_one},
    HparamKey{"rar", &Hparams::rar},
    HparamKey{"rar_decay", &Hparams::rar_decay, decay},
    HparamKey{"rar_strength", &Hparams::rar_strength, not_negative},
    HparamKey{"guard", &Hparams::guard},
    HparamKey{"guard_success", &Hparams::guard_success, not_negative},
    HparamKey{"guard_loss_rise", &Hparams::guard_loss_rise, not_negative},
    HparamKey{"guard_drift", &Hparams::guard_drift, not_negative},
};

constexpr std::string_view statistics = "the statistics file says what it was collected from";
constexpr std::string_view ranks = "ranks and devices are chosen when the program starts";

constexpr std::array foreign{
    ForeignKey{"alg_name", "the method is chosen with --method"},
    ForeignKey{"model_name", "the model is the one that the command names"},
    ForeignKey{"device", ranks},
    ForeignKey{"model_parallel", ranks},
    ForeignKey{"fp16", "the model's files say its precision"},
    ForeignKey{"stats_dir", "the statistics file is given with --stats"},
    ForeignKey{"P_loc", "the projection is computed from the statistics"},
    ForeignKey{"batch_size", "the batch is set with --batch"},
    ForeignKey{"max_length", "prompts are never cut"},
    ForeignKey{"mom2_adjustment", "second moments are always used, as in MEMIT"},
    ForeignKey{"mom2_dataset", statistics},
    ForeignKey{"mom2_n_samples", statistics},
    ForeignKey{"mom2_dtype", statistics},
    ForeignKey{"context_template_length_params", "contexts and context_length say it here"},
};

constexpr std::array methods{
    MethodKey{"emmet_lambda", "EMMET"},
    MethodKey{"update_norm_lambda", "EMMET"},
    MethodKey{"calculate_objective_value", "EMMET"},
    MethodKey{"nll_loss_factor", "PMET"},
    MethodKey{"rewrite_module_tmps", "PMET"},
    MethodKey{"cumulative_ratio", "SPHERE"},
    MethodKey{"suppression_strength", "SPHERE"},
    MethodKey{"ks_bs", "EAMET"},
    MethodKey{"clamp_ks_factor", "EAMET"},
    MethodKey{"cs_factor", "EAMET"},
    MethodKey{"mse_factor", "EAMET"},
    MethodKey{"tau", "EAMET"},
    MethodKey{"norm_factor", "EAMET"},
    MethodKey{"delta_init", "EAMET"},
    MethodKey{"weight_decay_method", "EAMET"},
    MethodKey{"prob_cutoff", "ENCORE"},
    MethodKey{"norm_control", "ENCORE"},
    MethodKey{"dynamic_multiplier", "ENCORE"},
    MethodKey{"random_vector_preservation", "ENCORE"},
    MethodKey{"add_prev_edits", "ENCORE"},
    MethodKey{"alpha", "LyapLock"},
    MethodKey{"lr", "FT"},
    MethodKey{"num_steps", "FT"},
    MethodKey{"weight_decay", "FT"},
    MethodKey{"norm_constraint", "FT"},
};

}  // namespace

std::span<const HparamKey> hparam_keys() {
  return keys;
}
std::span<const ForeignKey> foreign_keys() {
  return foreign;
}
std::span<const MethodKey> method_keys() {
  return methods;
}

}  // namespace anchorage::io
