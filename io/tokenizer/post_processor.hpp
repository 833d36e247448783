// The "post_processor" of tokenizer.json: adds special tokens around a text.
#pragma once

#include <cstdint>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

// Excludes the spaces at the ends of a token from its offsets.
struct OffsetTrim {
  bool keeps_one_space;  // keeps the only leading space of the text's first token: add_prefix_space put it there
};

struct PostProcessor {
  std::vector<std::int32_t> prefix{};
  std::vector<std::int32_t> suffix{};
  std::vector<OffsetTrim> trims{};  // applied in order

  // Accepts null, TemplateProcessing (its template for a single text), RobertaProcessing, BertProcessing,
  // ByteLevel (which changes only offsets), and a Sequence in which at most one of these adds tokens.
  static PostProcessor parse(const JsonNode& node);

 private:
  bool adds() const { return !prefix.empty() || !suffix.empty(); }
};

}  // namespace anchorage::io
