// The "pre_tokenizer" of tokenizer.json: takes a normalised text apart into words, which BPE never joins.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

// Where a piece of text stands; the pieces of a text are what lies between its added tokens.
enum class Position { text_start, after_token };

class PreTokenizer {
 public:
  // null, Sequence, ByteLevel, Split, Digits, Metaspace, WhitespaceSplit.
  // `start_may_move`: the normaliser may put another character first (see Metaspace's prepend_scheme).
  static PreTokenizer parse(const JsonNode& node, bool start_may_move);

  // None of the words is empty.
  std::vector<std::string> apply(std::string text, Position position) const;

 private:
  using Step = std::function<std::vector<std::string>(const std::string& word, Position)>;

  void add(const JsonNode& node, bool start_may_move);

  std::vector<Step> steps_;
};

}  // namespace anchorage::io
