// The "normalizer" of tokenizer.json: transforms the text before it is split.
#pragma once

#include <functional>
#include <vector>

#include "io/tokenizer/aligned_text.hpp"
#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

class Normalizer {
 public:
  // Accepts null, Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace.
  static Normalizer parse(const JsonNode& node);

  void apply(AlignedText& text) const;

 private:
  using Step = std::function<void(AlignedText&)>;

  void add(const JsonNode& node);

  std::vector<Step> steps_;
};

}  // namespace anchorage::io
