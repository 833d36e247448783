// Rebuilds the edited matrices from base and journal, without the rest of the model.
#pragma once

#include <cstdint>
#include <map>

#include <torch/types.h>

#include "io/model/model_directory.hpp"
#include "io/run/run_updates.hpp"

namespace anchorage::launch {

// Returns the matrices by layer, [d, f] f32 on the CPU: the bits that a run on the CPU holds after these
// updates. Leaves out layers that no update touches.
std::map<std::int64_t, torch::Tensor> rebuilt_weights(const io::ModelDirectory& base,
                                                      const io::RunUpdates& updates);

}  // namespace anchorage::launch
