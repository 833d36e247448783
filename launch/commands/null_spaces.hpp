// The null spaces, layer by layer, of a method that writes only where the keys of general text do not reach.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "io/hparams/hparams.hpp"

namespace anchorage::launch {

struct NullSpaces {
  std::map<std::int64_t, std::int64_t> free;  // dimensions, by layer; empty for other methods
  std::int64_t dimensions = 0;                // of the keys
};

// Returns [{"layer", "free", "of"}].
nlohmann::json document_of(const NullSpaces& spaces);

// Logs the sizes, and warns of layers in which nothing is protected.
void log_null_spaces(const NullSpaces& spaces, const io::Hparams& hparams);

}  // namespace anchorage::launch
