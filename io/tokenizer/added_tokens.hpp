// The "added_tokens" of tokenizer.json: tokens that are searched for in the text before anything else happens
// to it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/tokenizer/bpe.hpp"
#include "io/tokenizer/json_node.hpp"
#include "io/tokenizer/normalizer.hpp"

namespace anchorage::io {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool special = false;
  bool single_word = false;  // does not match where a letter or digit touches it
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // swallows white space after it
  bool normalized = false;   // searched for in its normalized form in the normalized text
  std::string spelling;      // the form that is searched for, and that decoding starts from
  bool skippable = false;    // left out of decoded text on demand: its spelling is the content of a special token
};

// Finds the longest of several strings at a place, in time proportional to its length.
class Trie {
 public:
  struct Match {
    std::size_t length;
    std::size_t value;
  };

  // Where equal strings are added, the first one counts.
  void add(std::string_view text, std::size_t value);
  std::optional<Match> longest_at(std::string_view text) const;
  bool empty() const { return nodes_.size() == 1; }

 private:
  struct Node {
    std::vector<std::pair<char, std::size_t>> children;
    std::optional<std::size_t> value;
  };
  std::optional<std::size_t> child(std::size_t node, char c) const;

  std::vector<Node> nodes_ = std::vector<Node>(1);
};

// A part of a text: an added token with the white space that it swallowed, or text between added tokens
// (without id).
struct Segment {
  TextRange range;
  std::optional<std::int32_t> id;
};

class AddedTokens {
 public:
  static AddedTokens parse(const JsonNode& node, const Bpe& model, const Normalizer& normalizer);

  // Split the text at the tokens that are searched for in the original text, or in the normalized text. No
  // segment is empty.
  std::vector<Segment> split_original(std::string_view text) const { return split(text, original_); }
  std::vector<Segment> split_normalized(std::string_view text) const { return split(text, normalized_); }

  const AddedToken* find(std::int32_t id) const;
  std::optional<std::int32_t> id_of(std::string_view content) const;

  // Returns how many added tokens are not in the model's vocabulary.
  std::size_t beyond_model() const { return beyond_model_; }

 private:
  void add(const JsonNode& node, const Bpe& model);
  void spell(const JsonNode& node, const Normalizer& normalizer);
  void build_tries();
  std::int32_t next_id(const Bpe& model) const;
  std::vector<Segment> split(std::string_view text, const Trie& trie) const;

  std::vector<AddedToken> tokens_;
  StringMap<std::int32_t> ids_;
  std::unordered_map<std::int32_t, std::size_t> index_of_id_;
  std::size_t beyond_model_ = 0;
  Trie original_;
  Trie normalized_;
};

}  // namespace anchorage::io
