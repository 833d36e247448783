// Which layers recall a fact: ROME's causal tracing (arXiv 2202.05262, section 2).
//
// The subject's token embeddings are corrupted with Gaussian noise, which takes the answer from the model. Then the
// clean hidden state at the subject's last token is restored after one block at a time. That layer's *indirect
// effect* is how much of the answer's probability comes back: P(answer | restored) - P(answer | corrupted).
//
// Of the corrupted passes only the suffixes from the subject's last token on are run again for each layer: nothing
// before it sees what is restored there.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct TracedFact {
  TokenIds ids{};  // of the bare prompt
  std::int64_t subject_first = 0, subject_last = 0;
  // The first token of the fact's answer so far; none: what the model itself says next.
  std::optional<std::int32_t> answer{};
  std::string rejection{};  // why the fact cannot be traced; nothing else is known then

  bool is_usable() const { return rejection.empty(); }
};

// Builds the prompt of an edit's fact as it was before the edit.
TracedFact traced_fact(const PromptBuilder& prompts, const io::Edit& edit, std::int64_t positions);

struct TraceOptions {
  std::int64_t noises = 4;  // corruptions of each fact
  double strength = 3;      // standard deviation of the noise, in those of the embeddings of the facts' subjects
  std::uint64_t seed = 0;
};

struct CausalTrace {
  std::vector<double> effects{};  // [layers]: mean indirect effects over facts and noises
  double clean = 0;               // mean probability of the answer
  double corrupted = 0;           // the same after corruption
  std::int64_t facts = 0;

  std::int64_t peak() const;  // the layer of the largest effect, the first of equals
};

// Returns the noise of the sample's fact `number` before it is scaled, from a generator of its own: [noises,
// tokens, width] f32, standard normal.
torch::Tensor subject_noise(const TraceOptions& options, std::int64_t number, std::int64_t tokens,
                            std::int64_t width);

// Traces facts, at least one, all usable. Calls `progress` with the facts that this rank has traced and how many
// these will be. Collective: each replica traces its share of fixed groups of facts; all ranks get the same result,
// the same bits on any number of them.
CausalTrace trace_facts(const Transformer& model, std::span<const TracedFact> facts, const TraceOptions& options,
                        const Communicators& ranks,
                        const std::function<void(std::int64_t done, std::int64_t of)>& progress = {});

}  // namespace anchorage::worker
