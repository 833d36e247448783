// Hyper-parameters that a method does not read, or that another one's value leaves without effect.
#pragma once

#include <string>
#include <string_view>

#include "io/hparams/hparams.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::worker {

// What hyper-parameter `key` has an effect under, "v_optimizer: ngd" for one, where `method` with `hparams` is
// something else; empty where it has an effect.
std::string unmet_condition(std::string_view key, const Method& method, const io::Hparams& hparams);

}  // namespace anchorage::worker
