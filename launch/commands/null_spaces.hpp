// The room that a method has which writes where the keys of general text do not reach, layer by layer.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "io/hparams/hparams.hpp"

namespace anchorage::launch {

struct NullSpaces {
  std::map<std::int64_t, std::int64_t> free;  // dimensions, by layer; of other methods there are no layers
  std::int64_t dimensions = 0;                // of all keys
};

// [{"layer", "free", "of"}]
nlohmann::json document_of(const NullSpaces& spaces);

// Logs them, and warns of layers in which nothing is protected.
void log_null_spaces(const NullSpaces& spaces, const io::Hparams& hparams);

}  // namespace anchorage::launch
