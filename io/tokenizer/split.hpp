// Splits a text at the matches of a pattern.
#pragma once

#include <string_view>
#include <vector>

#include "io/tokenizer/json_node.hpp"
#include "io/tokenizer/pattern.hpp"

namespace anchorage::io {

// What happens to a delimiter. "the-final--countdown" at "-":
enum class SplitBehavior {
  removed,               // the | final | countdown
  isolated,              // the | - | final | - | - | countdown
  merged_with_previous,  // the- | final- | - | countdown
  merged_with_next,      // the | -final | - | -countdown
  contiguous,            // the | - | final | -- | countdown
};

// Reads the behavior by its name in tokenizer.json.
SplitBehavior parse_behavior(const JsonNode& node);

enum class Matches { are_delimiters, are_words };

class Split {
 public:
  Split(Pattern pattern, SplitBehavior behavior, Matches matches = Matches::are_delimiters);

  // Returns the parts that are not empty.
  std::vector<TextRange> apply(std::string_view text) const;

 private:
  struct Part {
    TextRange range;
    bool is_delimiter;
  };
  std::vector<Part> parts_of(std::string_view text) const;

  Pattern pattern_;
  SplitBehavior behavior_;
  Matches matches_;
};

}  // namespace anchorage::io
