// MODEL on the command line: a Hugging Face directory, or a run directory (its edited state), with "@N" for the
// state after batch N.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "io/run/run_updates.hpp"

namespace anchorage::launch {

struct ModelArgument {
  std::filesystem::path base;                // the Hugging Face directory
  std::optional<std::filesystem::path> run;  // where the argument named a run
  std::optional<std::int64_t> batch;         // "@N"
};

// Throws io::UserError when the argument names neither. Whether the run has the batch is found where it is opened.
ModelArgument parse_model_argument(const std::string& argument);

// What makes up the run's state, or that after "@N", in its order; nothing for a model.
io::RunUpdates run_updates(const ModelArgument& argument);

}  // namespace anchorage::launch
