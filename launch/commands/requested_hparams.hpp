// The hyper-parameters that a command line requests.
#pragma once

#include <string>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "launch/program/session.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::launch {

// Returns the file's hyper-parameters with the changes of --set, not resolved; without a file (an empty path) the
// defaults with these. Warns, on rank 0, where the file is for another method and of each --set that has no effect
// under this method and the other values. Throws io::UserError.
io::Hparams stated_hparams(const std::string& path, const std::vector<std::string>& assignments,
                           const worker::Method& method, const Session& session);

// Returns the same resolved for the model; there must be a file.
io::Hparams requested_hparams(const std::string& path, const std::vector<std::string>& assignments,
                              const worker::Method& method, const io::ModelConfig& model, const Session& session);

}  // namespace anchorage::launch
