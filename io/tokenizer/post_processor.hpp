// The "post_processor" of tokenizer.json: the special tokens that go around a text.
#pragma once

#include <cstdint>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

// Takes the spaces at the ends of a token out of its offsets.
struct OffsetTrim {
  bool keeps_one_space;  // of a token where the text begins, if it is the only one: add_prefix_space put it there
};

struct PostProcessor {
  std::vector<std::int32_t> prefix{};
  std::vector<std::int32_t> suffix{};
  std::vector<OffsetTrim> trims{};  // one after the other

  // null, TemplateProcessing (its template for a single text), RobertaProcessing, BertProcessing, ByteLevel (which
  // changes offsets only), and a Sequence with at most one of those that add something.
  static PostProcessor parse(const JsonNode& node);

 private:
  bool adds() const { return !prefix.empty() || !suffix.empty(); }
};

}  // namespace anchorage::io
