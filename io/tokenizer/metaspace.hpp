// SentencePiece's treatment of spaces: a visible character ('▁') stands for a space and starts a word. Serves
// as a pre-tokenizer and as a decoder of tokenizer.json.
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

  // Splits the text into words; first puts a replacement before the text if the scheme asks for it and the
  // text does not start with one.
  std::vector<AlignedText> split_words(AlignedText text) const;

  // Turns replacements into spaces again; drops those of the first token where the scheme put them.
  std::vector<std::string> restore_spaces(std::vector<std::string> tokens) const;
};

}  // namespace anchorage::io
