// The edited matrices as base and journal make them, without the rest of the model.
#pragma once

#include <cstdint>
#include <map>

#include <torch/types.h>

#include "io/model/model_directory.hpp"
#include "io/run/run_updates.hpp"

namespace anchorage::launch {

// By layer, [d, f] f32 on the CPU: the bits that a run on the CPU holds after these updates. Layers that no update
// touches are left out.
std::map<std::int64_t, torch::Tensor> rebuilt_weights(const io::ModelDirectory& base,
                                                      const io::RunUpdates& updates);

}  // namespace anchorage::launch
