// The contexts that precede the prompts of an edit run, and the positions at which nothing is edited.
#pragma once

#include <vector>

#include "coordinator/hosted_run.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/run_directory.hpp"
#include "io/statistics/statistics_file.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/editing/values/edit_group.hpp"

namespace anchorage::launch {

// Returns the contexts of the run: those that its directory keeps, or new ones. `directory` is null on all
// ranks but 0. Collective.
worker::Contexts run_contexts(const OpenedModel& model, const coordinator::RunPlan& plan,
                              const io::RunDirectory* directory, Session& session);

// Returns the generated contexts in the form that the run directory keeps, so that the run is repeatable.
std::vector<io::Context> recorded_contexts(const worker::Contexts& contexts, const io::Tokenizer& tokenizer);

// Returns the norms above which a position is an attention sink, from the statistics: [edited layers].
// Infinite where the statistics have no norms.
worker::SinkLimits sink_limits(const io::StatisticsFile& statistics, const io::Hparams& hparams);

}  // namespace anchorage::launch
