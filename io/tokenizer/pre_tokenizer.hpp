// The "pre_tokenizer" of tokenizer.json: takes a normalized text apart into words, which BPE never joins.
#pragma once

#include <functional>
#include <vector>

#include "io/tokenizer/aligned_text.hpp"
#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

class PreTokenizer {
 public:
  // null, Sequence, ByteLevel, Split, Digits, Metaspace, WhitespaceSplit.
  static PreTokenizer parse(const JsonNode& node);

  // None of the words is empty.
  std::vector<AlignedText> apply(AlignedText text) const;

 private:
  using Step = std::function<std::vector<AlignedText>(AlignedText word)>;

  void add(const JsonNode& node);

  std::vector<Step> steps_;
};

}  // namespace anchorage::io
