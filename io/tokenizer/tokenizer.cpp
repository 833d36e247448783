#include "io/tokenizer/tokenizer.hpp"

#include <unicode/uchar.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ranges>
#include <utility>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"
#include "io/tokenizer/added_tokens.hpp"
#include "io/tokenizer/aligned_text.hpp"
#include "io/tokenizer/bpe.hpp"
#include "io/tokenizer/decoder.hpp"
#include "io/tokenizer/json_node.hpp"
#include "io/tokenizer/normalizer.hpp"
#include "io/tokenizer/post_processor.hpp"
#include "io/tokenizer/pre_tokenizer.hpp"
#include "io/tokenizer/tokenizer_file.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

void check_text(std::string_view text) {
  constexpr std::size_t longest_text = std::size_t{1}
                                       << 28;  // a step may double the length, and each byte has its origin
  if (text.size() > longest_text) {
    throw UserError({.expected = fmt::format("a text of at most {} bytes", longest_text),
                     .found = fmt::format("{}", text.size()),
                     .where = "the text to tokenize",
                     .remedy = "give it in parts"});
  }
  if (const auto offset = first_invalid_utf8(text)) {
    const auto byte = static_cast<unsigned char>(text[*offset]);
    throw UserError({.expected = "text in UTF-8",
                     .found = fmt::format("the byte 0x{:02x} at offset {}", byte, *offset),
                     .where = "the text to tokenize",
                     .remedy = "convert it to UTF-8"});
  }
}

// Words repeat within a text: each is encoded once. Long words hardly ever repeat.
class WordCache {
 public:
  explicit WordCache(const Bpe& model) : model_(model) {}

  // Valid until the next call.
  const std::vector<BpeToken>& tokens_of(const std::string& word) {
    constexpr std::size_t longest_cached_word = 64;
    if (word.size() > longest_cached_word) return long_word_ = model_.encode(word);
    auto known = words_.find(word);
    if (known == words_.end()) known = words_.emplace(word, model_.encode(word)).first;
    return known->second;
  }

 private:
  const Bpe& model_;
  StringMap<std::vector<BpeToken>> words_;
  std::vector<BpeToken> long_word_;
};

// Returns, for each byte of a text, the index of its character, and after the last byte the number of
// characters.
std::vector<std::size_t> characters_by_byte(std::string_view utf8) {
  std::vector<std::size_t> characters;
  characters.reserve(utf8.size() + 1);
  std::size_t count = 0;
  for (std::size_t at = 0; at < utf8.size(); at = characters.size()) {
    characters.insert(characters.end(), character_length(utf8[at]), count++);
  }
  characters.push_back(count);
  return characters;
}

bool is_trimmed_space(char32_t character) {
  return character == U'\u0120' ||
         u_isUWhiteSpace(static_cast<UChar32>(character)) != 0;  // U+0120: ByteLevel's space
}

// Trims offsets like process_offsets of `tokenizers`: by the spaces at the ends of a token's spelling, each
// as one character.
void apply(const OffsetTrim& trim, bool is_first, std::string_view spelling, TextRange& offsets) {
  const std::u32string characters = code_points(spelling);
  const auto leading =
      static_cast<std::size_t>(std::ranges::find_if_not(characters, is_trimmed_space) - characters.begin());
  const auto backwards = std::views::reverse(characters);
  const auto trailing =
      static_cast<std::size_t>(std::ranges::find_if_not(backwards, is_trimmed_space) - backwards.begin());
  const bool keeps_it = trim.keeps_one_space && leading == 1 && (is_first || offsets.begin == 0);
  if (!keeps_it) offsets.begin = std::min(offsets.begin + leading, offsets.end);
  if (offsets.end >= trailing) offsets.end = std::max(offsets.end - trailing, offsets.begin);
}

}  // namespace

struct Tokenizer::Parts {
  Bpe model;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  PostProcessor post_processor;
  Decoder decoder;

  struct Token {
    std::int32_t id;
    TextRange origin;       // in bytes of the text
    std::string in_text{};  // text of an added token, with the white space that it swallowed
  };

  static Parts parse(const JsonNode& root);
  std::optional<std::string_view> token_of(std::int32_t id) const;
  // Returns the tokens without those that the post-processor adds.
  std::vector<Token> tokens_in(std::string_view utf8) const;
};

Tokenizer::Parts Tokenizer::Parts::parse(const JsonNode& root) {
  root.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                   "post_processor", "decoder", "model"});
  const JsonNode version = root.member("version");
  if (!version.is_null() && version.text() != "1.0") version.not_implemented("version " + version.text());
  if (root.member("model").is_null()) root.refuse("a member \"model\"", "none");

  Bpe model = Bpe::parse(root.member("model"));
  Normalizer normalizer = Normalizer::parse(root.member("normalizer"));
  PreTokenizer pre_tokenizer = PreTokenizer::parse(root.member("pre_tokenizer"));
  AddedTokens added = AddedTokens::parse(root.member("added_tokens"), model, normalizer);
  PostProcessor post_processor = PostProcessor::parse(root.member("post_processor"));
  for (const auto* side : {&post_processor.prefix, &post_processor.suffix}) {
    for (const std::int32_t id : *side) {
      if (added.find(id) == nullptr && !model.token_of(id)) {
        root.member("post_processor").refuse("ids of tokens", fmt::format("{}, which is no token's", id));
      }
    }
  }
  return {std::move(model), std::move(normalizer),     std::move(pre_tokenizer),
          std::move(added), std::move(post_processor), Decoder::parse(root.member("decoder"))};
}

std::optional<std::string_view> Tokenizer::Parts::token_of(std::int32_t id) const {
  if (const AddedToken* token = added.find(id)) return token->content;
  return model.token_of(id);
}

Tokenizer::Tokenizer(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  const std::string name = tokenizer_file(path).string();
  const MappedFile file(name);
  const nlohmann::json json = parse_strict_json(
      text_of(file.bytes()),
      {.expected = "JSON", .found = {}, .where = name, .remedy = "get the file again; it may have been cut off"});
  return Tokenizer(std::make_shared<const Parts>(Parts::parse(JsonNode(json, name))));
}

std::vector<Tokenizer::Parts::Token> Tokenizer::Parts::tokens_in(std::string_view utf8) const {
  std::vector<Token> tokens;
  WordCache words(model);
  const auto add_words = [&](AlignedText text) {
    for (const AlignedText& word : pre_tokenizer.apply(std::move(text))) {
      std::size_t at = 0;
      for (const auto& [id, length] : words.tokens_of(word.text())) {
        tokens.push_back({id, word.origin({at, at + length})});
        at += length;
      }
    }
  };
  for (const Segment& given : added.split_original(utf8)) {
    if (given.id) {
      tokens.push_back({*given.id, given.range, std::string(given.range.of(utf8))});
      continue;
    }
    AlignedText text(utf8, given.range);
    normalizer.apply(text);
    for (const Segment& segment : added.split_normalized(text.text())) {
      AlignedText part = text.part(segment.range);
      if (segment.id) {
        tokens.push_back({*segment.id, part.origin({0, part.text().size()}), part.text()});
      } else {
        add_words(std::move(part));
      }
    }
  }
  return tokens;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, EncodeOptions options) const {
  check_text(utf8);
  const auto& [prefix, suffix, unused] = parts_->post_processor;
  std::vector<std::int32_t> ids;
  if (options.add_special_tokens) ids = prefix;
  for (const Parts::Token& token : parts_->tokens_in(utf8)) ids.push_back(token.id);
  if (options.add_special_tokens) ids.insert(ids.end(), suffix.begin(), suffix.end());
  return ids;
}

Encoding Tokenizer::encode_with_offsets(std::string_view utf8, EncodeOptions options) const {
  check_text(utf8);
  const std::vector<std::size_t> characters = characters_by_byte(utf8);
  Encoding encoding;
  const auto add_special = [&](const std::vector<std::int32_t>& ids) {
    if (!options.add_special_tokens) return;
    encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    encoding.offsets.resize(encoding.ids.size());
  };
  add_special(parts_->post_processor.prefix);
  bool is_first = true;
  for (const auto& [id, origin, in_text] : parts_->tokens_in(utf8)) {
    TextRange offsets{characters[origin.begin], characters[origin.end]};
    for (const OffsetTrim& trim : parts_->post_processor.trims) {
      apply(trim, is_first, in_text.empty() ? *parts_->token_of(id) : in_text, offsets);
    }
    encoding.ids.push_back(id);
    encoding.offsets.push_back(offsets);
    is_first = false;
  }
  add_special(parts_->post_processor.suffix);
  return encoding;
}

const std::vector<std::int32_t>& Tokenizer::start_ids() const {
  return parts_->post_processor.prefix;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, DecodeOptions options) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    if (const AddedToken* added = parts_->added.find(id)) {
      if (!options.skip_special_tokens || !added->skippable) tokens.push_back(added->spelling);
    } else if (const auto token = parts_->model.token_of(id)) {
      tokens.emplace_back(*token);
    }
  }
  return parts_->decoder.decode(std::move(tokens));
}

std::size_t Tokenizer::vocabulary_size() const {
  return parts_->model.size() + parts_->added.beyond_model();
}

std::optional<std::string> Tokenizer::token_of(std::int32_t id) const {
  const auto token = parts_->token_of(id);
  return token ? std::optional<std::string>(*token) : std::nullopt;
}

std::optional<std::int32_t> Tokenizer::id_of(std::string_view token) const {
  if (const auto id = parts_->added.id_of(token)) return id;
  return parts_->model.id_of(token);
}

}  // namespace anchorage::io
