// Plans an edit run before anything is changed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/hosted_run.hpp"
#include "io/edits/reader.hpp"
#include "io/model/model_directory.hpp"
#include "io/run/run_record.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

struct EditOptions {
  std::string model;
  std::vector<std::string> edits;
  std::optional<std::string> format;  // of the edits; none: detected from their fields
  std::string chat_template;          // role of a prompt's message: system, user, or "" for bare prompts
  std::filesystem::path run;
  std::string hparams;
  std::vector<std::string> assignments;  // --set key=value
  std::string method = "b-eac";
  std::filesystem::path statistics;
  std::filesystem::path protect{};  // prompts that must keep their answers; empty: none
  std::int64_t batch = 32;
  std::int64_t limit = 0;  // 0: all
  std::int64_t seed = 0;
  std::string on_conflict = "supersede";
  std::int64_t checkpoint_every = 16;  // segments; 0: no checkpoints
  double grace = 150;                  // seconds for the current batch after a signal
  std::filesystem::path trace{};       // of what each rank does; empty: none
  bool count_kernels = false;
  bool resume = false;
  std::filesystem::path canaries{};  // empty: those of the run
  bool strict = false;
  bool require_approval = false;
  std::string listen{};                // address and port at which the run is watched or served; empty: none
  std::filesystem::path token_file{};  // empty: reading alone
  bool serves = false;                 // waits for edits over HTTP
  double linger = 5;                   // seconds that an edit waits for others
};

// Checks hyper-parameters, method, statistics and model against each other and returns the plan. Collective:
// fingerprints come from rank 0.
coordinator::RunPlan plan_edit(const EditOptions& options, const io::ModelDirectory& model, Session& session);

// Returns the plan of a resumed run from its run.yaml; the command line may name other files of edits. Throws
// io::UserError when the model, its tokenizer or the statistics are not those that the run began with.
// Collective.
coordinator::RunPlan plan_resume(const EditOptions& options, const io::RunRecord& record,
                                 const io::ModelDirectory& model, Session& session);

// Reads the edits of the run's files, in order, and sets aside those that share an id. With `strict`, throws
// io::UserError for the first record that cannot be used.
io::EditsFile read_edits_of_files(const io::RunRecord& record, bool strict);

// Reads all edits of the run's files and of its inbox, in order, without those that were withdrawn, sets aside
// those that share an id, and renders prompts where the run has a chat template. `strict` as above.
io::EditsFile read_all_edits(const io::RunRecord& record, const std::filesystem::path& run, bool strict);

}  // namespace anchorage::launch
