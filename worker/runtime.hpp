// The command loop that every rank runs while a run is edited.
#pragma once

#include "sharding/collective/host_communicator.hpp"
#include "worker/command_queue.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/evaluation/loss_probe.hpp"

namespace anchorage::worker {

// Carries out commands until Stop. Collective: rank 0 takes them from `queue` (the others pass nothing) and sends
// them to all, and while there is none it tells them so, which keeps their deadlines. The probe measures around every
// batch.
void run_command_loop(BatchEditor& editor, const LossProbe& probe, sharding::HostCommunicator& ranks,
                      CommandQueue* queue);

}  // namespace anchorage::worker
