// Chooses the contexts in which a group's edits are made: those in which the subject's last token can be edited.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "worker/editing/values/subject_activations.hpp"

namespace anchorage::worker {

// The prefixes to put before the prompts (the empty one first), and after these, spares for contexts that
// cannot be used.
struct Contexts {
  std::vector<std::string> prefixes;
  std::size_t wanted = 1;  // contexts per edit; the others are spares
};

// |residual stream| above which a position counts as an attention sink, for each edited layer: [layers] f32.
// Nothing is edited at a sink (docs/method.md section 1).
using SinkLimits = torch::Tensor;

// Chooses for each edit the first `wanted` contexts in which its prompt is a usable row of the model and the
// subject's last token is no attention sink. The KL prompt is bare, or follows a prefix where its subject would end
// at a sink.
//
// It takes these steps, each of which should be made for all groups before the next one, so that the stages of a
// replica work on different groups: construction, arrive, compute, choose, arrive, compute,
// settle. Collective over the stages.
class ContextChoice {
 public:
  // Borrows all; builds all contexts, including the spares, and begins to run them up to the last edited layer.
  ContextChoice(const Transformer& model, const PromptBuilder& builder, const Contexts& contexts,
                const SinkLimits& limits, std::span<const std::int64_t> layers, std::span<const io::Edit> edits);

  // Runs the rows that are tried up to the first edited layer.
  void arrive();
  // Computes what decides about the rows that are tried.
  void compute();
  // Keeps the prompts in the contexts that pass; tries other KL prompts where the bare one does not.
  void choose();
  // Takes a KL prompt that passes.
  void settle();

  struct Chosen {
    std::vector<std::string> refusals;                // one per edit; empty when accepted
    std::vector<std::int64_t> accepted;               // indices of the edits
    std::vector<EditPrompts> prompts;                 // of the accepted edits
    std::unique_ptr<SubjectActivations> activations;  // of their rewrites, in order; none where none is accepted
  };
  // Returns what was chosen, once it is settled.
  Chosen take();

 private:
  struct TriedRow {
    PromptRow* row;    // borrowed
    std::size_t edit;  // whose row it is
  };
  // Tries rows that are not rejected already.
  void try_rows(std::vector<TriedRow> tried);
  // Rejects those of the tried rows whose subject ends at an attention sink of an edited layer.
  void reject_attention_sinks();

  const Transformer& model_;
  const PromptBuilder& builder_;
  const Contexts& contexts_;
  const SinkLimits& limits_;
  std::span<const std::int64_t> layers_;
  std::span<const io::Edit> edits_;
  std::vector<EditPrompts> candidates_, chosen_;  // one per edit
  std::vector<std::vector<PromptRow>> moved_;  // one per edit: KL prompts after prefixes, where the bare one fails
  std::vector<TriedRow> tried_;
  std::unique_ptr<SubjectActivations> activations_;  // of the tried rows; none where there are none
  std::unique_ptr<SubjectActivations> of_chosen_;    // of the chosen rewrites of all edits; none without any
  std::vector<std::string> refusals_;
};

}  // namespace anchorage::worker
