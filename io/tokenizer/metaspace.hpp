// SentencePiece's way with spaces: a visible character ('▁') stands for a space and starts a word. A pre-tokenizer
// and a decoder of tokenizer.json.
#pragma once

#include <string>
#include <vector>

#include "io/tokenizer/aligned_text.hpp"
#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

struct Metaspace {
  enum class Scheme { always, first, never };

  std::string replacement;
  Scheme scheme = Scheme::always;
  bool splits = true;

  static Metaspace parse(const JsonNode& node);

  // With a replacement put before the text if the scheme wants it there and the text does not start with one.
  std::vector<AlignedText> split_words(AlignedText text) const;

  // The tokens with spaces again; without those of the first token where a scheme put them.
  std::vector<std::string> restore_spaces(std::vector<std::string> tokens) const;
};

}  // namespace anchorage::io
