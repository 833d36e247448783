// The hyper-parameters that a command line requests.
#pragma once

#include <string>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "launch/program/session.hpp"
#include "worker/editing/method.hpp"

namespace anchorage::launch {

// Returns the file's hyper-parameters with the changes of --set, resolved for the model. Warns, on rank 0,
// where the file is for another method and of each --set that has no effect under this method and the other
// values. Throws io::UserError.
io::Hparams requested_hparams(const std::string& path, const std::vector<std::string>& assignments,
                              const worker::Method& method, const io::ModelConfig& model, const Session& session);

}  // namespace anchorage::launch
