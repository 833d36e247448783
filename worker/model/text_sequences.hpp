// A text file as token sequences of a fixed length, streamed.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>

#include "io/text/text_lines.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker {

// Lines are encoded one by one, each with its line break, and joined: the sequences depend on the text alone.
// Throws io::UserError as io::TextLines does, which says in which forms a text may come, and for a line with a
// token that the model has no row for.
class TextSequences {
 public:
  // `rows`: of the model's embedding. Borrows the tokenizer.
  TextSequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer, std::int64_t length,
                std::int64_t rows = std::numeric_limits<std::int64_t>::max());

  // The next sequence, of at most `length` tokens: the tokenizer's start token where it has one, then text. The
  // last one may be shorter; nothing at the end of the text.
  std::optional<TokenIds> next();

 private:
  io::TextLines lines_;
  const io::Tokenizer& tokenizer_;
  std::size_t length_;
  std::int64_t rows_;
  TokenIds start_;    // the special tokens before every sequence
  TokenIds pending_;  // encoded and not yet given out
};

}  // namespace anchorage::worker
