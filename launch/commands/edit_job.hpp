// Carries out `anchorage edit` and `anchorage serve`: from the plan to what is printed at the end.
#pragma once

#include "launch/commands/edit_plan.hpp"
#include "launch/program/session.hpp"

namespace anchorage::launch {

// Returns the exit code. Collective.
int run_edits(EditOptions options, Session& session);

}  // namespace anchorage::launch
