// Prints plans: as a table or a JSON document, as a table over many machines, and as a trace.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "coordinator/plan_sweep.hpp"
#include "coordinator/planner.hpp"

namespace anchorage::launch {

// `speed` says where the machine's speed is known from.
[[nodiscard]] nlohmann::json document_of(const coordinator::Plan& plan, const coordinator::PlanRequest& request);
[[nodiscard]] std::string text_of(const coordinator::Plan& plan, const coordinator::PlanRequest& request,
                                  const char* speed);

[[nodiscard]] nlohmann::json document_of(const std::vector<coordinator::SweepRow>& rows);
[[nodiscard]] std::string text_of(const std::vector<coordinator::SweepRow>& rows);

[[nodiscard]] nlohmann::json document_of(const coordinator::SweepRow& machine, const coordinator::Night& night);
[[nodiscard]] std::string text_of(const coordinator::SweepRow& machine, const coordinator::Night& night);

// Writes the batch that was planned in Chrome's trace format: one row a rank, one box an activity.
void write_trace(const std::filesystem::path& path, const coordinator::Plan& plan,
                 const coordinator::PlanRequest& request);

}  // namespace anchorage::launch
