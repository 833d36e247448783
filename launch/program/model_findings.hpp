// What does not fit together in a model directory and is no error: told once, on rank 0, where the model is opened.
#pragma once

#include <filesystem>
#include <optional>

#include "io/model/model_directory.hpp"
#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::launch {

// Warns of the keys of config.json that are not known.
void warn_of_unknown_keys(const io::ModelConfig& config, const std::filesystem::path& file);

// Likewise of the whole directory: its config.json, and tensors that the model has no place for.
void warn_of_findings(const io::ModelDirectory& directory);

// Tokens that the model has no row for.
void warn_of_tokens_without_row(const io::Tokenizer& tokenizer, const io::ModelDirectory& directory);

// Tokens of general text that are seen at once: what --sequence-length asks for, which the model must have the
// positions for (io::UserError), or 512, where it has so many.
std::int64_t sequence_length(std::optional<std::int64_t> asked, const io::ModelConfig& config);

}  // namespace anchorage::launch
