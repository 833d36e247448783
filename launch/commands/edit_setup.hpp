// Everything an edit run needs before its first batch, found out before anything is changed.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/edits/reader.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/journal/journal.hpp"
#include "io/run/run_directory.hpp"
#include "io/statistics/statistics_file.hpp"
#include "launch/program/model_argument.hpp"
#include "worker/editing/batch_editor.hpp"

namespace anchorage::launch {

struct EditOptions {
  std::string model;
  std::vector<std::string> edits;
  std::optional<std::string> format;  // of the edits; found from their fields otherwise
  std::string chat_template;          // whose message a prompt is: system, user, or "" for prompts as they are
  std::filesystem::path run;
  std::string hparams;
  std::vector<std::string> assignments;  // --set key=value
  std::string method = "b-eac";
  std::filesystem::path statistics;
  std::int64_t batch = 32;
  std::int64_t limit = 0;  // 0: all
  std::int64_t seed = 0;
  std::string on_conflict = "supersede";
  std::int64_t checkpoint_every = 16;  // segments; 0: no checkpoints
  double grace = 150;                  // seconds from a signal on for the current batch
  bool resume = false;
  bool strict = false;
};

// What a run is made of.
struct EditPlan {
  io::RunRecord record;
  io::Hparams hparams;  // resolved for the model
};

// The file's hyper-parameters with what --set changes, resolved for the model. Warns, on rank 0, where the file is
// for another method and of each --set that has no effect under this method and the other values. Throws
// io::UserError.
io::Hparams requested_hparams(const std::string& path, const std::vector<std::string>& assignments,
                              const worker::Method& method, const io::ModelConfig& model, const Session& session);

// Checks hyper-parameters, method, statistics and model against each other. Collective: fingerprints come from rank
// 0.
EditPlan plan_edit(const EditOptions& options, const io::ModelDirectory& model, Session& session);

// The plan of a run that is resumed, as its run.yaml has it; the command line may name other files of edits.
// Throws io::UserError when the model, its tokenizer or the statistics are not those that the run began with.
// Collective.
EditPlan plan_resume(const EditOptions& options, const io::RunRecord& record, const io::ModelDirectory& model,
                     Session& session);

// All edits of the run's files, in their order, with ids of their own and rendered prompts where it has a chat
// template; with `strict`, io::UserError for the first record that cannot be used.
io::EditsFile read_all_edits(const io::RunRecord& run, bool strict);

// The contexts of the run: those that its directory keeps, or new ones. `directory` is null on all ranks but 0.
// Collective.
worker::Contexts run_contexts(const OpenedModel& model, const EditPlan& plan, const io::RunDirectory* directory,
                              Session& session);

// Has the run keep its contexts, where it does not yet: other ones would not repeat it.
void keep_contexts(const worker::Contexts& contexts, const io::Tokenizer& tokenizer, io::RunDirectory& directory);

// Norms above which a position is an attention sink, from the statistics: [edited layers]. Infinite where they do
// not tell.
worker::SinkLimits sink_limits(const io::StatisticsFile& statistics, const io::Hparams& hparams);

}  // namespace anchorage::launch
