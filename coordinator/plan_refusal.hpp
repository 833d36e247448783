// Says why ranks cannot be planned as requested, and what could be.
#pragma once

#include "coordinator/planner.hpp"

namespace anchorage::coordinator {

// Every stage holds at least one layer.
[[nodiscard]] int most_stages(const PlanRequest& request);

// Throws io::UserError unless the requested number of stages divides the ranks and is not above the most.
void check_stages(const PlanRequest& request);

// Throw io::UserError: what this many stages need of memory and what would fit; and where no number of stages that
// divides the ranks fits, that, or which number of ranks would.
[[noreturn]] void refuse_memory(const PlanRequest& request, int stages);
[[noreturn]] void refuse_ranks(const PlanRequest& request);

}  // namespace anchorage::coordinator
