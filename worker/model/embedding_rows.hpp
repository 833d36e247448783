// Finds tokens that a model has no row for: its tokenizer may have more tokens than its embedding has rows,
// an added "[PAD]" say.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/error.hpp"
#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::worker {

// Lists a tokenizer's tokens without a row in an embedding of `rows` rows, as "'[PAD]' (id 320)", by id.
std::vector<std::string> tokens_without_row(const io::Tokenizer& tokenizer, std::int64_t rows);

// Returns the first of `ids` without a row, in the same form.
std::optional<std::string> token_without_row(std::span<const std::int32_t> ids, const io::Tokenizer& tokenizer,
                                             std::int64_t rows);

// Makes the diagnostic for such a token in the text at `where`.
io::Diagnostic diagnostic_for_token(const std::string& token, std::int64_t rows, const std::string& where);

// Throws io::UserError with that diagnostic where one of `ids` has no row.
void require_rows(std::span<const std::int32_t> ids, const io::Tokenizer& tokenizer, std::int64_t rows,
                  const std::string& where);

}  // namespace anchorage::worker
