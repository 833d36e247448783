// The suffix-only forward pass of a group of edits, with vectors injected at the output of down projections.
//
// All prompts of all edits of the group run as rows of one tensor. What an injected vector cannot change is
// computed once: the attention keys and values before the subject's last token, and the residual stream after
// the first injected layer. Each call then computes only positions from the subject's last token on, only the
// layers after the first injected one, and the head only where something is predicted; gradients flow only to
// the injected vectors.
//
// Where the model is cut into stages, each stage caches what its layers need. Stages from that of the first
// injected layer to the last one take part in the loss, each with its own layers: what leaves one enters the next
// (value_pipeline.hpp).
//
// Notation: E edits, m injected layers, d = d_model, f = d_ff.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "worker/editing/values/edit_prompts.hpp"
#include "worker/kernels/token_rows.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {

struct InjectionOptions {
  // Ascending: a vector is added to the output of these blocks' down projections at the subject's last token. Where
  // no norm follows, that is the residual stream after the block.
  std::vector<std::int64_t> layers;
  std::int64_t loss_layer = 0;  // the block whose output goes through final norm and head (`v_loss_layer`)
};

// The loss of the edits' prompts with vectors injected. All [E].
struct InjectedLoss {
  torch::Tensor nll;      // mean over the contexts of the mean over target tokens of -log p
  torch::Tensor kl;       // KL(p_0 || p) of the next token of "{subject} is a"; p_0 without injection
  torch::Tensor matches;  // bool: every target token is the most probable one, in every context
};

class InjectedForward {
 public:
  // Lists the rows; runs nothing yet. Borrows the model.
  InjectedForward(const Transformer& model, std::vector<EditPrompts> edits, InjectionOptions options);

  std::int64_t edits() const { return static_cast<std::int64_t>(edits_.size()); }
  const std::vector<EditPrompts>& prompts() const { return edits_; }

  std::int64_t injected_layers() const { return static_cast<std::int64_t>(options_.layers.size()); }
  std::int64_t d_model() const { return model_.config.d_model; }
  const std::vector<std::int64_t>& layers() const { return options_.layers; }
  const Transformer& model() const { return model_; }

  // Stages before that of the first injected layer take part only in the pass to it.
  int first_stage() const { return model_.stages.stage_of(options_.layers.front()); }
  bool takes_part() const { return model_.stages.index() >= first_stage(); }
  // Returns which of the injected layers this stage holds, as indices into them; all of those from its end on are
  // on the stages after this one.
  sharding::Range own_slots() const;

  // Run whole rows through the layers up to the first injected one, of which the output is cached: through those
  // below the stages' second pass (Stages::second_pass), and through the others and to the stage of the first
  // injected layer. Where there are several groups, each for all of them. Collective over the stages, without
  // gradients.
  void begin();
  void arrive();

  // Runs whole rows through this stage's layers from the first injected one on and fills the caches. `entering` is
  // what left the stage before, undefined on the first that takes part; the number of its rows is whole_tokens().
  // Returns what leaves this stage.
  torch::Tensor fill_caches(const torch::Tensor& entering);
  std::int64_t whole_tokens() const { return whole_->layout().tokens(); }
  // Does all of that at once. Collective over the stages.
  void fill();
  // Whether nothing of this is left to do. A copy that is made then shares what is cached, until one of them drops
  // edits.
  bool is_filled() const { return suffixes_ != nullptr; }
  // Drops what is cached for the loss alone; what `subject_keys` needs remains.
  void drop_what_only_the_loss_needs();

  // Returns |residual stream| at the subject's last token of the first context, after the last injected layer;
  // where a norm follows the MLP, |output of the down projection| there: [E] f32. Known on that layer's stage when
  // the caches are filled, and where it is set.
  const torch::Tensor& norms() const { return norms_; }
  void set_norms(torch::Tensor norms) { norms_ = std::move(norms); }

  // Runs the suffixes through this stage's layers, with `vectors` [E, own slots, d] added. `entering` [tokens(), d]
  // is what left the stage before, undefined on the first that takes part. Differentiable with respect to both.
  torch::Tensor forward(const torch::Tensor& entering, const torch::Tensor& vectors) const;
  std::int64_t tokens() const { return suffixes_->layout().tokens(); }
  // Returns the flops of `forward`'s and `loss_of`'s matrix products on this stage, attention's left out; those of
  // the way back are as many.
  double product_flops() const;
  // Returns the loss, of what leaves the last stage. Differentiable.
  InjectedLoss loss_of(const torch::Tensor& hidden) const;
  // Both, of a model that is one stage: with `injected` [E, m, d] added.
  InjectedLoss loss(const torch::Tensor& injected) const { return loss_of(forward({}, injected)); }

  // Returns the keys of the injected layers at the subject's last token with `injected` added, averaged over
  // each edit's contexts: m tensors [E, f] f32, without gradients. The first layer's key comes before any
  // injection. Fills the caches as far as it needs them, unless they are filled. Collective over the stages.
  std::vector<torch::Tensor> subject_keys(const torch::Tensor& injected);

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
    kernels::TokenRows
        predicting;            // [predicted + E]: packed tokens that predict a target, then the KL prompts' last
    torch::Tensor target_ids;  // [predicted] i64
    torch::Tensor target_weights;  // [E, predicted] f32: 1 / (tokens of the target * contexts of the edit)
    kernels::RowRepeats row_edit;  // [rows] of [E]
    kernels::TokenRows subjects;   // [rows]: the packed subject's last token, the first of each suffix
    torch::Tensor row_averages;    // [E, rows] f32: 1 / contexts of the edit at its rewriting prompts
  };

  torch::ScalarType loss_dtype() const { return model_.dtype() == torch::kDouble ? torch::kDouble : torch::kFloat; }
  void list_rows();
  void fill_until(std::int64_t last_layer);
  // Runs a whole-row block that this stage holds and caches what is needed of it.
  torch::Tensor cache_block(std::int64_t layer, const torch::Tensor& hidden);
  void cache_first(const BlockOutput& first);
  void cache_distribution(const torch::Tensor& hidden);
  void end_filling();
  void lay_out_suffixes();
  torch::Tensor inject(std::int64_t layer, const BlockOutput& output, const torch::Tensor& vectors) const;
  // Runs a suffix block that this stage holds, without what is injected after it.
  BlockOutput suffix_block(std::int64_t layer, const torch::Tensor& hidden) const;

  const Transformer& model_;
  InjectionOptions options_;
  std::vector<EditPrompts> edits_;
  std::vector<Row> rows_;
  std::shared_ptr<const ForwardPass> whole_;  // whole rows, until the caches are filled
  torch::Tensor arriving_;                    // [whole tokens, d]: what was begun, or what enters the first layer
  bool arrived_ = false;                      // arriving_ is on the stage of the first injected layer
  std::vector<AttentionCache> caches_;        // one per layer after the first injected one, in order
  // The first injected layer's output: the residual stream of the suffixes [tokens, d], its key and what goes
  // through its norm at the subject's last token [rows, ...].
  BlockOutput first_;
  torch::Tensor kl_before_;  // [E, V] log-probabilities p_0
  torch::Tensor norms_;      // [E]
  Predictions predictions_;
  std::shared_ptr<const ForwardPass> suffixes_;
};

}  // namespace anchorage::worker
