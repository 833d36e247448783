// The "decoder" of tokenizer.json: from tokens, as the vocabulary spells them, to text.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

class Decoder {
 public:
  // Accepts null (tokens are joined by spaces), Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace,
  // Strip.
  static Decoder parse(const JsonNode& node);

  std::string decode(std::vector<std::string> tokens) const;

 private:
  using Step = std::function<std::vector<std::string>(std::vector<std::string>)>;

  void add(const JsonNode& node);

  std::vector<Step> steps_;
  std::string separator_ = " ";
};

}  // namespace anchorage::io
