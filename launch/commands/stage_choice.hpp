// Chooses which layers each stage holds, for the ranks of this job.
#pragma once

#include <cstdint>
#include <vector>

#include "coordinator/workload.hpp"
#include "io/hparams/hparams.hpp"
#include "io/model/model_config.hpp"
#include "launch/program/session.hpp"
#include "sharding/stage_layers.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::launch {

// Describe the work to the planner: of batches of `batch` edits, or of a model that is only run.
coordinator::Workload workload_of(const io::ModelConfig& model, const io::Hparams& hparams,
                                  const worker::Method& method, std::int64_t batch, const Session& session);
coordinator::Workload workload_of(const io::ModelConfig& model, const Session& session);

// Which layers each stage holds, how many slabs of the least squares each rank at most, and of how many groups of a
// batch a replica keeps what is cached.
struct StageChoice {
  std::vector<sharding::StageLayers> stages;
  std::vector<std::int64_t> slabs;
  std::int64_t kept_groups = 0;
};

// Chooses as many stages as --stages requests; without the option, on GPUs as many as make a batch fastest, on
// CPUs one. Throws io::UserError where that is impossible, and says what is possible. Collective: rank 0
// decides.
StageChoice choose_stages(const coordinator::Workload& workload, Session& session);

}  // namespace anchorage::launch
