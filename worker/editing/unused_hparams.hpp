// Finds hyper-parameters that a method does not read, or that another one's value leaves without effect.
#pragma once

#include <string>
#include <string_view>

#include "io/hparams/hparams.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::worker {

// Returns the condition under which hyper-parameter `key` has an effect, such as "v_optimizer: ngd", where
// `method` with `hparams` does not meet it; empty where `key` has an effect.
std::string unmet_condition(std::string_view key, const Method& method, const io::Hparams& hparams);

}  // namespace anchorage::worker
