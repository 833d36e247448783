// One trial: a batch of edits is written into the loaded model, measured and taken out again.
#pragma once

#include <span>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/hparams/hparams.hpp"
#include "io/statistics/statistics_file.hpp"
#include "launch/commands/tune/search.hpp"
#include "launch/program/opened_model.hpp"
#include "launch/program/session.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/values/edit_group.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::launch {

// What all trials have in common. Borrowed.
struct TrialBasis {
  OpenedModel& model;
  const worker::PromptBuilder& prompts;
  const worker::Method& method;
  const worker::Contexts& contexts;
  std::span<const io::Edit> edits;             // one batch
  std::span<const worker::TokenIds> held_out;  // sequences of text
};

// Measures the model as it is. Drift and refusals are those of no edit. Collective.
TrialFigures measure(const TrialBasis& basis, Session& session);

// Writes the edits as one batch with these hyper-parameters, measures, and takes the batch out again: the model is
// what it was, bit for bit. The drift is known on rank 0 alone. Collective.
TrialFigures try_hparams(const TrialBasis& basis, const io::Hparams& hparams, const io::StatisticsFile& statistics,
                         Session& session);

}  // namespace anchorage::launch
