// Which layers each stage holds, for the ranks current.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/stage_costs.hpp"
#include "io/hparams/hparams.hpp"
#include "io/model/model_config.hpp"
#include "launch/program/session.hpp"
#include "sharding/range.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::launch {

// What batches of `batch` edits are to the planner; the second, of a model that is run as it is.
coordinator::Workload workload_of(const io::ModelConfig& model, const io::Hparams& hparams,
                                  const worker::Method& method, std::int64_t batch, const Session& session);
coordinator::Workload workload_of(const io::ModelConfig& model, const Session& session);

// As asked with --stages; where not asked, on GPUs as few stages as fit their memory, on CPUs one. Throws
// io::UserError where it cannot be and says what could. Collective: rank 0 decides.
std::vector<sharding::Range> choose_stages(const coordinator::Workload& workload, Session& session);

}  // namespace anchorage::launch
