// Inconsistencies in a model directory that are not errors: rank 0 warns of them once, when it opens the
// model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/model/model_directory.hpp"
#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::launch {

// Warns of unknown keys of config.json.
void warn_of_unknown_keys(const io::ModelConfig& config, const std::filesystem::path& file);

// Warns of findings in the whole directory: in its config.json, and tensors that the model does not use.
void warn_of_findings(const io::ModelDirectory& directory);

// Warns of tokens that the model has no row for.
void warn_of_tokens_without_row(const io::Tokenizer& tokenizer, const io::ModelDirectory& directory);

// Warns of `tokens`, which tokenizer_config.json adds and tokenizer.json does not have.
void warn_of_tokens_of_config_alone(const std::vector<std::string>& tokens, const io::ModelDirectory& directory);

// Returns how many tokens of general text form a sequence: what --sequence-length requests, or else 512 or
// the model's positions if those are fewer. Throws io::UserError where the request exceeds the model's
// positions.
std::int64_t sequence_length(std::optional<std::int64_t> asked, const io::ModelConfig& config);

}  // namespace anchorage::launch
