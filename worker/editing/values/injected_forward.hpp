// The suffix-only forward pass of a group of edits, with vectors injected into the residual stream.
//
// All prompts of all edits of the group run as rows of one tensor. What an injected vector cannot change is
// computed once: the attention keys and values before the subject's last token, and the residual stream after
// the first injected layer. Each call then computes only positions from the subject's last token on, only the
// layers after the first injected one, and the head only where something is predicted; gradients flow only to
// the injected vectors.
//
// Where the model is cut into stages, each stage caches what its layers need, and all make the same calls.
//
// Notation: E edits, m injected layers, d = d_model, f = d_ff.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {

struct InjectionOptions {
  std::vector<std::int64_t> layers;  // ascending: after these blocks a vector is added at the subject's last token
  std::int64_t loss_layer = 0;       // the block whose output goes through final norm and head (`v_loss_layer`)
};

// The loss of the edits' prompts with vectors injected. All [E], on the last stage. On other stages, `nll`
// holds what remains there of hidden states that moved to the next stage (stages.hpp); the rest is undefined.
struct InjectedLoss {
  torch::Tensor nll;      // mean over the contexts of the mean over target tokens of -log p
  torch::Tensor kl;       // KL(p_0 || p) of the next token of "{subject} is a"; p_0 without injection
  torch::Tensor matches;  // bool: every target token is the most probable one, in every context
};

// Copies share their tensors.
class InjectedForward {
 public:
  // Runs the whole rows once, without gradients, to fill the caches. Borrows the model. Collective over the
  // stages.
  InjectedForward(const Transformer& model, std::vector<EditPrompts> edits, InjectionOptions options);

  std::int64_t edits() const { return static_cast<std::int64_t>(edits_.size()); }

  std::int64_t injected_layers() const { return static_cast<std::int64_t>(options_.layers.size()); }
  std::int64_t d_model() const { return model_.config.d_model; }
  const std::vector<std::int64_t>& layers() const { return options_.layers; }
  const Transformer& model() const { return model_; }
  torch::ScalarType loss_dtype() const { return model_.dtype() == torch::kDouble ? torch::kDouble : torch::kFloat; }

  // Stages before that of the first injected layer take part only in filling the caches, not in the loss.
  int first_stage() const { return model_.stages.stage_of(options_.layers.front()); }
  bool takes_part() const { return model_.stages.index() >= first_stage(); }

  // Returns |residual stream| at the subject's last token of the first context, after the last injected
  // layer: [E] f32, on that layer's stage, and after `share_norms` on all stages that take part.
  const torch::Tensor& norms() const { return norms_; }
  // Broadcasts the norms of groups with the same injected layers.
  static void share_norms(std::span<InjectedForward* const> groups);

  // Computes the loss with `injected` [E, m, d] added. Differentiable with respect to `injected`; over
  // stages, see LossEvaluation.
  InjectedLoss loss(const torch::Tensor& injected) const;

  // Returns the keys of the injected layers at the subject's last token with `injected` added, averaged over
  // each edit's contexts: m tensors [E, f] f32, without gradients. The first layer's key comes before any
  // injection. Collective over the stages.
  std::vector<torch::Tensor> subject_keys(const torch::Tensor& injected) const;

  // Drops all edits but `kept` (indices into the current ones, ascending).
  void keep(std::span<const std::int64_t> kept);

 private:
  struct Row {
    std::int64_t edit;
    TokenIds ids;
    std::int64_t subject_last;
    std::int64_t predicts_from;
    bool kl_prompt;
  };
  // Where and what the packed suffixes predict.
  struct Predictions {
    torch::Tensor target_index;    // [predicted] i64 packed token that predicts
    torch::Tensor target_ids;      // [predicted] i64
    torch::Tensor target_weights;  // [E, predicted] f32: 1 / (tokens of the target * contexts of the edit)
    torch::Tensor kl_index;        // [E] i64
    torch::Tensor row_edit;        // [rows] i64
    torch::Tensor subject_index;   // [rows] i64 packed index of the subject's last token, the first of each suffix
    torch::Tensor row_averages;    // [E, rows] f32: 1 / contexts of the edit at its rewriting prompts
  };

  void list_rows();
  void cache_prefixes();
  void lay_out_suffixes();
  // Called with each layer after the first injected one and its output before the injection.
  using Capture = std::function<void(std::int64_t layer, const BlockOutput& output)>;
  torch::Tensor hidden_after(std::int64_t last_layer, const torch::Tensor& injected,
                             const Capture& capture = {}) const;

  const Transformer& model_;
  InjectionOptions options_;
  std::vector<EditPrompts> edits_;
  std::vector<Row> rows_;
  std::vector<AttentionCache> caches_;  // one per layer after the first injected one, in order
  torch::Tensor after_first_;           // [tokens, d]: residual stream after the first injected layer
  torch::Tensor first_keys_;            // [rows, f]: key of the first injected layer at the subject's last token
  torch::Tensor kl_before_;             // [E, V] log-probabilities p_0
  torch::Tensor norms_;                 // [E]
  Predictions predictions_;
  std::shared_ptr<const ForwardPass> suffixes_;
};

}  // namespace anchorage::worker
