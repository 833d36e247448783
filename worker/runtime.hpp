// The command loop that every rank runs during an edit run.
#pragma once

#include "sharding/collective/host_communicator.hpp"
#include "worker/command_queue.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/evaluation/canary_probe.hpp"
#include "worker/evaluation/loss_probe.hpp"
#include "worker/evaluation/model_questions.hpp"

namespace anchorage::worker {

// Executes commands until Stop. Collective: rank 0 takes commands from `queue` (null on other ranks) and
// broadcasts them; while there is none, it sends them a sign of life, so that their deadlines do not pass.
// The probes look before and after every batch; questions come between two.
struct Probes {
  const LossProbe& loss;
  const CanaryProbe& canaries;
  const ModelQuestions& questions;
};
void run_command_loop(BatchEditor& editor, const Probes& probes, sharding::HostCommunicator& ranks,
                      CommandQueue* queue);

}  // namespace anchorage::worker
