// Captures what the edited layers see at the subject's last token of a group's rewriting prompts: keys and
// the residual stream.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/forward.hpp"

namespace anchorage::worker {

// Runs the prefixes of rows, up to the subject's last token. Everything before the first edited layer is computed
// once: below the stages' second pass (Stages::second_pass) by the construction, the rest by `arrive` or the first
// other call. Each call computes what depends on edited weights. Collective over the model's stages, all of which
// get the results.
//
// A write goes upward: `keys(layer)` keeps what enters that layer, and `keys` of a layer above it and
// `residual_stream` continue from there. Layers below may be written to again before `keys` of the first edited
// layer, which begins anew.
class SubjectActivations {
 public:
  // Borrows the model. `edited_layers` ascending.
  SubjectActivations(const Transformer& model, std::span<const PromptRow> rows,
                     std::span<const std::int64_t> edited_layers);

  // Returns those of some of the rows (their indices, ascending), whose prefixes are not computed again: once what
  // enters the first edited layer has arrived. Not collective; every stage calls it.
  std::unique_ptr<SubjectActivations> of_rows(std::span<const std::int64_t> rows) const;

  // For several objects: construct them one after another, let them arrive in the same order, and only then make
  // other calls, so that stages work on different ones.
  void arrive();

  // Returns the key of edited layer `layer` at the subject's last token of each row, [rows, f].
  torch::Tensor keys(std::int64_t layer);

  // Returns the keys of every edited layer, [rows, f] each, in one pass.
  std::vector<torch::Tensor> keys();

  // Returns the residual stream after the last edited layer, [rows, d]; with `value` [rows, d] f32 added to the
  // output of that layer's down projection, which needs a family with a norm after it.
  torch::Tensor residual_stream(const torch::Tensor& value = {});

  // Returns what the MLP's norm of an edited layer makes of a change of the down projection's output, entry by
  // entry, and by how much that output has to change for a change of the residual stream (post_norm.hpp): [rows, 2,
  // d] f32. The family must have such a norm.
  torch::Tensor norm_slopes(std::int64_t layer);

  // Returns |residual stream| after each edited layer, [rows, layers] f32. What takes time of it can be had before,
  // for several objects one after another, so that stages do not wait for each other's results.
  void compute_residual_norms();
  torch::Tensor residual_norms();

 private:
  SubjectActivations(const Transformer& model, std::vector<TokenIds> prefixes,
                     std::vector<std::int64_t> edited_layers);
  // Returns what `capture` takes from each edited layer's output at the subjects' last tokens: [rows, width]
  // each.
  using Capture = std::function<torch::Tensor(const BlockOutput& at_subjects)>;
  std::vector<torch::Tensor> at_edited_layers(const Capture& capture);
  std::vector<torch::Tensor> shared(std::vector<torch::Tensor> captured, std::int64_t width,
                                    torch::ScalarType dtype) const;
  torch::Tensor on_all_stages(const torch::Tensor& rows, std::int64_t layer, std::int64_t width,
                              torch::ScalarType dtype) const;
  // Return the residual stream before the first edited layer, and before another one, on its stage.
  const torch::Tensor& entering();
  torch::Tensor before(std::int64_t layer);

  const Transformer& model_;
  std::vector<TokenIds> prefixes_;  // up to the subject's last token
  ForwardPass pass_;
  std::vector<std::int64_t> edited_layers_;
  torch::Tensor subject_index_;       // [rows] i64: index of the subject's last token in the packed tokens
  torch::Tensor entering_;            // [tokens, d]: what was begun, or what enters the first edited layer
  bool entered_ = false;              // entering_ is on the stage of the first edited layer
  std::int64_t reached_ = 0;          // the edited layer that `keys` was last asked for
  torch::Tensor at_reached_;          // [tokens, d]: the residual stream before it
  std::vector<torch::Tensor> norms_;  // computed: [rows, 1] of each edited layer that this stage holds
};

}  // namespace anchorage::worker
