// Hyper-parameters of an editing run, under the names of the field's own files (EasyEdit's hparams/*.yaml,
// the *.json of ROME, MEMIT and AlphaEdit), and this project's own beside them. docs/hparams.md says what
// each does and where its default comes from.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/model/model_config.hpp"

namespace anchorage::io {

enum class ValueOptimizer { adam, ngd };
enum class EarlyStop { loss, argmax };

// Optional fields are `auto` in a file: derived from the model or from the edits.
struct Hparams {
  // Where edits are written. Layers count from 0; module templates have "{}" for the layer and serve only as
  // a check.
  std::vector<int> layers{};  // ascending; must be given
  std::string layer_selection = "all";
  std::string fact_token = "subject_last";
  std::string rewrite_module_tmp{};  // empty: the family's
  std::string layer_module_tmp{};
  std::string mlp_module_tmp{};
  std::string attn_module_tmp{};
  std::string ln_f_module{};
  std::string lm_head_module{};

  // The value of an edit: how it is optimized, and what restrains it.
  ValueOptimizer v_optimizer = ValueOptimizer::adam;
  int v_num_grad_steps = 25;
  double v_lr = 0.5;       // adam
  double ngd_step = 0.05;  // ngd, in norms of the hidden state
  std::optional<int> v_loss_layer{};
  double v_weight_decay = 0.5;
  double clamp_norm_factor = 0.75;
  double kl_factor = 0.0625;
  EarlyStop early_stop = EarlyStop::loss;
  double early_stop_loss = 0.05;
  bool target_end = false;     // the end of text is a part of every target
  bool merge_subjects = true;  // edits of one subject in a batch share a value
  int contexts = 6;            // rewriting prompts per edit, including the bare one
  int context_length = 10;     // tokens per prefix
  double sink_ratio = 4.0;
  int group = 0;  // edits computed together; 0: chosen from the model

  // The update.
  double target_norm = 0.0;  // that every target is scaled to; 0: as found
  double mom2_update_weight = 15000.0;
  double subject_share = 0.0;     // of the second moment: at the last tokens of subjects, not on text
  double protect_weight = 100.0;  // of a protected key, in keys of an edit; without protected facts no effect
  int correction_sweeps = 1;
  double nullspace_threshold = 0.02;  // alphaedit
  double L2 = 10.0;                   // alphaedit

  // EAC: a dense value, then its anchors only.
  int eac_locate_steps = 10;
  int eac_compress_steps = 15;
  double eac_anchor_ratio = 0.05;  // of d_model
  double eac_l1 = 5e-7;

  // B-EAC: layer-wise anchor selection (LAS) and rolling anchor refresh (RAR).
  bool anchors = true;  // off: one dense vector per layer, in one phase
  bool las = true;      // off: each edit's best entries, whatever layer or other edit holds them
  std::optional<double> anchor_ratio = 0.5;  // per edit, of d_model; auto: as few as carry anchor_mass
  double anchor_mass = 0.9;                  // of an edit's saliency
  double las_balance = 1.5;                  // times a layer's even share
  int las_capacity = 6;                      // edits of a batch that may hold the same dimension of a layer
  bool rar = true;
  double rar_decay = 0.9;
  double rar_strength = 1.0;

  // The guard: when a batch is reverted and retried in parts.
  bool guard = true;
  double guard_success = 0.5;     // smallest share of a batch's edits that must succeed
  double guard_loss_rise = 0.25;  // largest in one batch, nats per token
  double guard_drift = 5.0;       // largest in one batch and layer, in norms of the base weight

  bool operator==(const Hparams&) const = default;
};

// A key of other projects that has no effect here, and why.
struct IgnoredKey {
  std::string key;
  std::string reason;
};

struct LoadedHparams {
  Hparams hparams;
  std::vector<IgnoredKey> ignored;  // in the order of the file
  std::string algorithm{};          // alg_name: the method that the file is for, or empty
};

// Reads YAML or JSON. Throws UserError with file and line for an unknown key (naming the method it belongs
// to, or the nearest known key), a key given twice, a value of the wrong type or out of its range, and a
// choice that is not supported.
LoadedHparams load_hparams(const std::filesystem::path& path);

// Parses the same from a text, such as run.yaml keeps; `origin` names it in messages.
LoadedHparams parse_hparams(const std::string& text, const std::string& origin);

// Parses those of a run's record. Of a run that was begun by a version without `merge_subjects`, it is false, so
// that the run continues as it was begun.
Hparams parse_recorded_hparams(const std::string& text, const std::string& origin);

// Sets one value from "key=value", the value spelled as in a file; a list may be written "4,5,6". Throws
// UserError as load_hparams does, and for a key without effect.
void set(Hparams& hparams, std::string_view assignment);

// Writes every key with its value, in the order above; module templates and v_loss_layer only once they are
// resolved. load_hparams reads equal hyper-parameters from it.
std::string to_yaml(const Hparams& hparams);

// Resolves the hyper-parameters for this model: fills in module templates and the loss layer. Throws
// UserError when layers are missing, out of range, repeated or out of order; when the loss layer lies past
// the end or before the last edited one; when a module has another name in this family; when a ratio leaves
// no anchor; when targets are to have an end of text that the model's config does not name; and when context
// prefixes leave no position for a prompt. Messages name the file, or the last of the assignments ("layers=1,9")
// that set the wrong value.
Hparams resolve(Hparams hparams, const ModelConfig& model, const std::string& file,
                std::span<const std::string> assignments = {});

}  // namespace anchorage::io
