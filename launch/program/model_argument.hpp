// Reads MODEL on the command line: a Hugging Face directory, or a run directory (its edited state), with "@N"
// for the state after batch N.
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

// Throws io::UserError when the argument names neither. Opening the run checks whether it has the batch.
ModelArgument parse_model_argument(const std::string& argument);

// Returns the updates that make up the run's state, or the state after "@N", in order; none for a model.
io::RunUpdates run_updates(const ModelArgument& argument);

}  // namespace anchorage::launch
