// The facts that an edit run protects (--protect): read for a new run, whose record then names them, and from then
// on taken from the run's directory.
#pragma once

#include <optional>

#include "coordinator/hosted_run.hpp"
#include "io/edits/protected_prompts.hpp"
#include "io/run/protected_keys.hpp"
#include "io/run/run_directory.hpp"
#include "launch/commands/edit_plan.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/editing/values/edit_prompts.hpp"

namespace anchorage::launch {

// Reads the facts that a new run is to protect, and renders them where the run has a chat template; nothing without
// --protect, and for a resumed run, which has their keys. Call it on rank 0, before anything is changed. Throws
// io::UserError for a file that cannot be used, and where a run is resumed with other facts than it began with.
std::optional<io::ProtectedPrompts> facts_to_protect(const EditOptions& options, const io::RunRecord& run);

// Returns the keys of the facts that the run protects, or nothing. Those of a new run are found on the model, which
// has no edit yet, and written into its directory; the plan's record then names them. Those of a resumed run are
// read. Facts and directory are rank 0's. Throws io::UserError for a fact that cannot be protected, and as
// io::protected_keys_of does. Collective.
std::optional<io::ProtectedKeys> protected_keys(const EditOptions& options,
                                                const std::optional<io::ProtectedPrompts>& facts,
                                                const OpenedModel& model, const worker::PromptBuilder& prompts,
                                                coordinator::RunPlan& plan, io::RunDirectory* directory,
                                                Session& session);

}  // namespace anchorage::launch
