#include "io/tokenizer/added_tokens.hpp"

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <utility>

#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

// Matches \w of Rust's regex crate (UTS 18, annex C).
bool is_word_character(char32_t given) {
  const auto character = static_cast<UChar32>(given);
  constexpr std::uint32_t word_categories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_isUAlphabetic(character) || (U_GET_GC_MASK(character) & word_categories) != 0 || character == 0x200c ||
         character == 0x200d;
}

bool touches_word(std::string_view before, std::string_view after) {
  return (!before.empty() && is_word_character(last_character(before).value)) ||
         (!after.empty() && is_word_character(first_character(after).value));
}

AddedToken parse_token(const JsonNode& node) {
  node.allow_only({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.content = node.member("content").text();
  token.id = node.member("id").count();
  token.special = node.member("special").flag();
  token.single_word = node.member("single_word").flag();
  token.lstrip = node.member("lstrip").flag();
  token.rstrip = node.member("rstrip").flag();
  token.normalized = node.member("normalized").flag();
  return token;
}

}  // namespace

std::optional<std::size_t> Trie::child(std::size_t node, char c) const {
  for (const auto& [key, next] : nodes_[node].children) {
    if (key == c) return next;
  }
  return std::nullopt;
}

void Trie::add(std::string_view text, std::size_t value) {
  std::size_t node = 0;
  for (const char c : text) {
    auto next = child(node, c);
    if (!next) {
      next = nodes_.size();
      nodes_[node].children.emplace_back(c, *next);
      nodes_.emplace_back();
    }
    node = *next;
  }
  if (!nodes_[node].value) nodes_[node].value = value;
}

std::optional<Trie::Match> Trie::longest_at(std::string_view text) const {
  std::optional<Match> longest;
  std::size_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto next = child(node, text[i]);
    if (!next) break;
    node = *next;
    if (nodes_[node].value) longest = Match{i + 1, *nodes_[node].value};
  }
  return longest;
}

AddedTokens AddedTokens::parse(const JsonNode& node, const Bpe& model, const Normalizer& normalizer) {
  AddedTokens added;
  if (node.is_null()) return added;
  for (const JsonNode& element : node.elements()) added.add(element, model);
  added.spell(node, normalizer);
  added.build_tries();
  return added;
}

void AddedTokens::add(const JsonNode& node, const Bpe& model) {
  AddedToken token = parse_token(node);
  if (token.content.empty()) return;  // as `tokenizers` does
  if (ids_.contains(token.content)) node.refuse("each added token once", fmt::format("'{}' again", token.content));
  const auto in_model = model.id_of(token.content);
  // `tokenizers` numbers added tokens itself and only warns when the file has another number.
  const std::int32_t id = in_model ? *in_model : next_id(model);
  if (token.id != id)
    node.refuse(fmt::format("the id {} for '{}'", id, token.content), fmt::format("{}", token.id));
  if (!in_model) ++beyond_model_;
  ids_.emplace(token.content, id);
  index_of_id_.emplace(id, tokens_.size());
  tokens_.push_back(std::move(token));
}

std::int32_t AddedTokens::next_id(const Bpe& model) const {
  auto next = static_cast<std::int32_t>(model.size());
  for (const AddedToken& token : tokens_) next = std::max(next, token.id + 1);
  return next;
}

void AddedTokens::spell(const JsonNode& node, const Normalizer& normalizer) {
  for (AddedToken& token : tokens_) {
    AlignedText spelling(token.content, {0, token.content.size()});
    if (token.normalized) normalizer.apply(spelling);
    token.spelling = spelling.text();
    if (token.spelling.empty()) {
      node.not_implemented(fmt::format("'{}', of which the normalizer leaves nothing", token.content));
    }
    const auto same = id_of(token.spelling);
    token.skippable = same && find(*same)->special;
  }
}

// Adds special tokens first: they win over others with the same spelling.
void AddedTokens::build_tries() {
  for (const bool special : {true, false}) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      if (token.special == special) (token.normalized ? normalized_ : original_).add(token.spelling, i);
    }
  }
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto found = index_of_id_.find(id);
  return found == index_of_id_.end() ? nullptr : &tokens_[found->second];
}

std::optional<std::int32_t> AddedTokens::id_of(std::string_view content) const {
  const auto found = ids_.find(content);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

// Takes the leftmost token, and the longest one there. As in `tokenizers`, a token that is refused for
// touching a word hides the shorter ones in it, and white space that a token swallowed may still start the
// next one.
std::vector<Segment> AddedTokens::split(std::string_view text, const Trie& trie) const {
  std::vector<Segment> segments;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !trie.empty();) {
    const auto match = trie.longest_at(text.substr(at));
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match->value];
    std::size_t begin = at;
    std::size_t end = at += match->length;
    if (token.single_word && touches_word(text.substr(0, begin), text.substr(end))) continue;
    if (token.lstrip) begin = std::max(begin - length_of_trailing_space(text.substr(0, begin)), done);
    if (token.rstrip) end += length_of_leading_space(text.substr(end));
    if (done < begin) segments.push_back({{done, begin}, std::nullopt});
    segments.push_back({{begin, end}, token.id});
    done = end;
  }
  if (done < text.size()) segments.push_back({{done, text.size()}, std::nullopt});
  return segments;
}

}  // namespace anchorage::io
