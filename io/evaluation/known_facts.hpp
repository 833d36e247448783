// Facts that a model is asked for before and after editing, as in ROME's `known_1000.json`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct KnownFact {
  std::string prompt;
  std::string attribute;  // the continuation by a model that knows the fact
};

// Reads records with the fields `prompt` and `attribute`, in the order of the file; ignores other fields
// (ROME's `template` does not always give its `prompt`). Throws UserError on the first record that lacks one.
std::vector<KnownFact> read_known_facts(const std::filesystem::path& path);

}  // namespace anchorage::io
