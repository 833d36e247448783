// Tokens that a model has no row for: its tokenizer may have more than its embedding, an added "[PAD]" say.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::worker {

// Those of a tokenizer, as "'[PAD]' (id 320)", for an embedding of so many rows; by id.
std::vector<std::string> tokens_without_row(const io::Tokenizer& tokenizer, std::int64_t rows);

// The first of `ids` without a row, in the same words.
std::optional<std::string> token_without_row(std::span<const std::int32_t> ids, const io::Tokenizer& tokenizer,
                                             std::int64_t rows);

// What is said of such a token in the text at `where`.
io::Diagnostic diagnostic_for_token(const std::string& token, std::int64_t rows, const std::string& where);

// Throws io::UserError with that diagnostic where one of `ids` has no row.
void require_rows(std::span<const std::int32_t> ids, const io::Tokenizer& tokenizer, std::int64_t rows,
                  const std::string& where);

}  // namespace anchorage::worker
