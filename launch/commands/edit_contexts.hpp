// What the prompts of an edit run stand after, and which positions are not edited at.
#pragma once

#include <vector>

#include "coordinator/hosted_run.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/run_directory.hpp"
#include "io/statistics/statistics_file.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/editing/values/edit_group.hpp"

namespace anchorage::launch {

// The contexts of the run: those that its directory keeps, or new ones. `directory` is null on all ranks but 0.
// Collective.
worker::Contexts run_contexts(const OpenedModel& model, const coordinator::RunPlan& plan,
                              const io::RunDirectory* directory, Session& session);

// The generated ones, as the run keeps them: others would not repeat it.
std::vector<io::Context> recorded_contexts(const worker::Contexts& contexts, const io::Tokenizer& tokenizer);

// Norms above which a position is an attention sink, from the statistics: [edited layers]. Infinite where they do
// not tell.
worker::SinkLimits sink_limits(const io::StatisticsFile& statistics, const io::Hparams& hparams);

}  // namespace anchorage::launch
