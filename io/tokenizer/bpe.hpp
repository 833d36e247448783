// The "model" of tokenizer.json: byte-pair encoding.
//
// A word starts as its characters; the neighboring pair that comes first in the list of merges is joined,
// leftmost first, until no pair is in the list (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/tokenizer/json_node.hpp"

namespace anchorage::io {

// Lets maps with string keys be searched with string views.
struct StringHash : std::hash<std::string_view> {
  using is_transparent = void;
};

template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

// A token and how many bytes of its word it takes, as `tokenizers` counts them: a character that becomes
// nothing shifts the ones after it.
struct BpeToken {
  std::int32_t id;
  std::uint32_t length;
};

class Bpe {
 public:
  static Bpe parse(const JsonNode& node);

  Bpe(Bpe&&) = default;
  Bpe& operator=(Bpe&&) = default;

  // Encodes a word of length n in time n log n. Characters that no token covers become bytes, the unknown
  // token, or nothing, as the model specifies.
  std::vector<BpeToken> encode(std::string_view word) const;

  std::size_t size() const { return ids_.size(); }
  std::optional<std::int32_t> id_of(std::string_view token) const;
  std::optional<std::string_view> token_of(std::int32_t id) const;

 private:
  Bpe() = default;

  struct Merge {
    std::int32_t rank;
    std::int32_t id;  // of the joined token
  };
  struct PairHash {
    std::size_t operator()(std::uint64_t pair) const;
  };
  class Word;

  void read_vocabulary(const JsonNode& node);
  void read_merges(const JsonNode& node);
  void add_merge(const JsonNode& merges, std::string_view left, std::string_view right);
  const Merge* find_merge(std::int32_t left, std::int32_t right) const;

  std::vector<BpeToken> symbols_of(std::string_view word) const;
  std::optional<std::vector<std::int32_t>> bytes_of(std::string_view character) const;
  std::int32_t unknown_id() const;

  StringMap<std::int32_t> ids_;
  std::unordered_map<std::int32_t, std::string_view> tokens_;  // views into the keys of ids_, whose addresses are
                                                               // stable
  std::unordered_map<std::uint64_t, Merge, PairHash> merges_;
  std::int32_t next_rank_ = 0;
  std::optional<std::string> unknown_token_;
  bool fuses_unknown_ = false;
  bool byte_fallback_ = false;
  bool whole_words_first_ = false;  // ignore_merges
};

}  // namespace anchorage::io
