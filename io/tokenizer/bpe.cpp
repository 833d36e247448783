#include "io/tokenizer/bpe.hpp"

#include <fmt/format.h>

#include <queue>
#include <tuple>
#include <utility>

#include "io/error.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

// Returns the kind of the model. Older versions of `tokenizers` wrote no type: then other keys tell.
std::string kind_of(const JsonNode& node) {
  if (const JsonNode type = node.member("type"); !type.is_null()) return type.text();
  if (node.has("unk_id")) return "Unigram";
  if (node.has("max_input_chars_per_word")) return "WordPiece";
  return node.has("merges") || !node.has("unk_token") ? "BPE" : "WordLevel";
}

void refuse_affix(const JsonNode& node) {
  if (!node.is_null() && !node.text().empty()) node.not_implemented(fmt::format("\"{}\"", node.text()));
}

}  // namespace

// A word being merged: its symbols in a doubly linked list, and possible merges in a queue.
class Bpe::Word {
 public:
  Word(const Bpe& bpe, const std::vector<BpeToken>& tokens) : bpe_(bpe) {
    symbols_.reserve(tokens.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto at = static_cast<std::int32_t>(i);
      symbols_.push_back({tokens[i].id, tokens[i].length, at - 1, i + 1 < tokens.size() ? at + 1 : none});
    }
    for (const Symbol& symbol : symbols_) offer(symbol.previous);
  }

  void merge() {
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      // The pair may have changed since it was queued; then another entry covers the new pair.
      const Merge* merge = merge_at(best.position);
      if (merge != nullptr && merge->id == best.id) apply(best);
    }
  }

  std::vector<BpeToken> tokens() const {
    std::vector<BpeToken> tokens;
    if (symbols_.empty()) return tokens;
    for (std::int32_t at = 0; at != none; at = symbol(at).next)
      tokens.push_back({symbol(at).id, symbol(at).length});
    return tokens;
  }

 private:
  static constexpr std::int32_t none = -1;

  struct Symbol {
    std::int32_t id;  // none: joined to the symbol before it
    std::uint32_t length;
    std::int32_t previous;
    std::int32_t next;
  };
  struct Candidate {
    std::int32_t rank;
    std::int32_t position;  // position of the left symbol
    std::int32_t id;
    bool operator>(const Candidate& other) const {
      return std::tie(rank, position) > std::tie(other.rank, other.position);
    }
  };

  const Symbol& symbol(std::int32_t at) const { return symbols_[static_cast<std::size_t>(at)]; }
  Symbol& symbol(std::int32_t at) { return symbols_[static_cast<std::size_t>(at)]; }

  // Returns the merge of the symbol at `left` with its right neighbor.
  const Merge* merge_at(std::int32_t left) const {
    if (left == none || symbol(left).id == none || symbol(left).next == none) return nullptr;
    return bpe_.find_merge(symbol(left).id, symbol(symbol(left).next).id);
  }

  void offer(std::int32_t left) {
    if (const Merge* merge = merge_at(left)) queue_.push({merge->rank, left, merge->id});
  }

  void apply(const Candidate& candidate) {
    Symbol& left = symbol(candidate.position);
    Symbol& right = symbol(left.next);
    left.id = candidate.id;
    left.length += right.length;
    left.next = right.next;
    right.id = none;
    if (left.next != none) symbol(left.next).previous = candidate.position;
    offer(left.previous);
    offer(candidate.position);
  }

  const Bpe& bpe_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue_;
};

std::size_t Bpe::PairHash::operator()(std::uint64_t pair) const {
  pair *= 0x9e3779b97f4a7c15U;  // Fibonacci hashing; the high bits are the well mixed ones
  return pair ^ (pair >> 32);
}

Bpe Bpe::parse(const JsonNode& node) {
  if (const std::string kind = kind_of(node); kind != "BPE") {
    node.not_implemented(fmt::format("the model \"{}\"", kind));
  }
  node.allow_only({"vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                   "fuse_unk", "byte_fallback", "ignore_merges"});
  const JsonNode dropout = node.member("dropout");
  if (!dropout.is_null() && dropout.value() != 0.0) dropout.not_implemented("random merges (dropout)");
  refuse_affix(node.member("continuing_subword_prefix"));
  refuse_affix(node.member("end_of_word_suffix"));

  Bpe bpe;
  if (const JsonNode unknown = node.member("unk_token"); !unknown.is_null()) bpe.unknown_token_ = unknown.text();
  bpe.fuses_unknown_ = node.member("fuse_unk").flag_or(false);
  bpe.byte_fallback_ = node.member("byte_fallback").flag_or(false);
  bpe.whole_words_first_ = node.member("ignore_merges").flag_or(false);
  bpe.read_vocabulary(node.member("vocab"));
  bpe.read_merges(node.member("merges"));
  return bpe;
}

void Bpe::read_vocabulary(const JsonNode& node) {
  if (!node.value().is_object()) node.refuse("an object of tokens and their ids", "none");
  ids_.reserve(node.value().size());
  tokens_.reserve(node.value().size());
  for (const auto& [token, unused] : node.value().items()) {
    const std::int32_t id = node.member(token).count();
    const auto entry = ids_.emplace(token, id).first;
    const auto [holder, is_new] = tokens_.emplace(id, entry->first);
    if (!is_new)
      node.refuse("one token for each id", fmt::format("'{}' and '{}' for {}", holder->second, token, id));
  }
}

// Each merge is either "left right" or ["left", "right"].
void Bpe::read_merges(const JsonNode& node) {
  if (!node.value().is_array()) node.refuse("an array of pairs of tokens", "none");
  merges_.reserve(node.value().size());
  for (const auto& merge : node.value()) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      add_merge(node, merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
      continue;
    }
    if (!merge.is_string()) node.refuse("pairs of tokens", fmt::format("an element of type {}", merge.type_name()));
    const std::string_view text = merge.get_ref<const std::string&>();
    if (text.starts_with("#version")) continue;
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) {
      node.refuse("pairs of tokens", fmt::format("'{}'", text));
    }
    add_merge(node, text.substr(0, space), text.substr(space + 1));
  }
}

void Bpe::add_merge(const JsonNode& merges, std::string_view left, std::string_view right) {
  const std::string joined = std::string(left).append(right);
  for (const std::string_view token : {left, right, std::string_view(joined)}) {
    if (!id_of(token)) {
      merges.refuse("merges of tokens in the vocabulary",
                    fmt::format("'{}' in the merge '{} {}'", token, left, right));
    }
  }
  // Where a pair occurs twice, the last one counts.
  merges_.insert_or_assign(pair_of(*id_of(left), *id_of(right)), Merge{next_rank_++, *id_of(joined)});
}

const Bpe::Merge* Bpe::find_merge(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_of(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

std::optional<std::int32_t> Bpe::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string_view> Bpe::token_of(std::int32_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<BpeToken> Bpe::encode(std::string_view word) const {
  if (whole_words_first_) {
    if (const auto id = id_of(word)) return {{*id, static_cast<std::uint32_t>(word.size())}};
  }
  Word symbols(*this, symbols_of(word));
  symbols.merge();
  return symbols.tokens();
}

std::vector<BpeToken> Bpe::symbols_of(std::string_view word) const {
  std::vector<BpeToken> symbols;
  symbols.reserve(word.size());
  // The unknown token is emitted when the next known character comes: byte tokens overtake it, as in
  // `tokenizers`.
  std::optional<BpeToken> unknown;
  const auto put_unknown = [&] {
    if (unknown) symbols.push_back(*std::exchange(unknown, std::nullopt));
  };
  for (std::size_t at = 0; at < word.size();) {
    const std::string_view character = word.substr(at, character_length(word[at]));
    const auto length = static_cast<std::uint32_t>(character.size());
    at += length;
    if (const auto id = id_of(character)) {
      put_unknown();
      symbols.push_back({*id, length});
    } else if (const auto bytes = bytes_of(character)) {
      for (const std::int32_t byte : *bytes) symbols.push_back({byte, 1});
    } else if (unknown_token_) {
      if (!fuses_unknown_) put_unknown();
      unknown = BpeToken{unknown_id(), length + (unknown ? unknown->length : 0)};
    }
  }
  put_unknown();
  return symbols;
}

std::optional<std::vector<std::int32_t>> Bpe::bytes_of(std::string_view character) const {
  if (!byte_fallback_) return std::nullopt;
  std::vector<std::int32_t> ids;
  for (const char byte : character) {
    const auto id = id_of(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)));
    if (!id) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

std::int32_t Bpe::unknown_id() const {
  if (const auto id = id_of(*unknown_token_)) return *id;
  throw UserError(
      {.expected = "a text of characters that the tokenizer knows, or an unknown token in its vocabulary",
       .found = fmt::format("an unknown character and no '{}'", *unknown_token_),
       .where = "",
       .remedy = "use the tokenizer.json that came with the model"});
}

}  // namespace anchorage::io
