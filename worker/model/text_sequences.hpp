// A text file as token sequences of a fixed length, streamed.
#pragma once

#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "io/tokenizer/tokenizer.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::worker {

// Lines are encoded one by one, each with its line break, and joined: the sequences depend on the text alone.
// Throws io::UserError when the file cannot be read, has no text, or has a line that is not UTF-8 or has a token
// that the model has no row for.
class TextSequences {
 public:
  // `rows`: of the model's embedding. Borrows the tokenizer.
  TextSequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer, std::int64_t length,
                std::int64_t rows = std::numeric_limits<std::int64_t>::max());

  // The next sequence, of at most `length` tokens: the tokenizer's start token where it has one, then text. The
  // last one may be shorter; nothing at the end of the text.
  std::optional<TokenIds> next();

 private:
  std::filesystem::path path_;
  std::ifstream file_;
  std::int64_t line_ = 0;  // how many were read
  const io::Tokenizer& tokenizer_;
  std::size_t length_;
  std::int64_t rows_;
  TokenIds start_;    // the special tokens before every sequence
  TokenIds pending_;  // encoded and not yet given out
};

}  // namespace anchorage::worker
