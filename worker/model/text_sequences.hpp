// Streams a text file as token sequences of a fixed length.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>

#include "io/text/text_lines.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker {

// Encodes lines one by one, each with its line break, and joins them: the sequences depend on the text alone.
// Throws io::UserError as io::TextLines does, which describes the file formats, and for a line with a token
// that the model has no row for.
class TextSequences {
 public:
  // `rows` counts those of the model's embedding. Borrows the tokenizer.
  TextSequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer, std::int64_t length,
                std::int64_t rows = std::numeric_limits<std::int64_t>::max());

  // Returns the next sequence, of at most `length` tokens: the tokenizer's start token where it has one, then
  // text. The last sequence may be shorter; returns nothing at the end of the text.
  std::optional<TokenIds> next();

 private:
  io::TextLines lines_;
  const io::Tokenizer& tokenizer_;
  std::size_t length_;
  std::int64_t rows_;
  TokenIds start_;    // the special tokens before every sequence
  TokenIds pending_;  // encoded and not returned yet
};

}  // namespace anchorage::worker
