// The "normalizer" of tokenizer.json: what is done to the text before it is taken apart.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

class Normalizer {
 public:
  // null, Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace.
  static Normalizer parse(const JsonNode& node);

  std::string apply(std::string text) const;

  // Whether the first character of the result may be another one than the first character of the text.
  bool moves_start() const { return moves_start_; }

 private:
  using Step = std::function<std::string(std::string)>;

  void add(const JsonNode& node);

  std::vector<Step> steps_;
  bool moves_start_ = false;
};

}  // namespace anchorage::io
