// The "pre_tokenizer" of tokenizer.json: splits a normalized text into words, which BPE never joins.
#pragma once

#include <functional>
#include <vector>

#include "io/tokenizer/aligned_text.hpp"
#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

class PreTokenizer {
 public:
  // Accepts null, Sequence, ByteLevel, Split, Digits, Metaspace, WhitespaceSplit.
  static PreTokenizer parse(const JsonNode& node);

  // Splits the text; no word is empty.
  std::vector<AlignedText> apply(AlignedText text) const;

 private:
  using Step = std::function<std::vector<AlignedText>(AlignedText word)>;

  void add(const JsonNode& node);

  std::vector<Step> steps_;
};

}  // namespace anchorage::io
