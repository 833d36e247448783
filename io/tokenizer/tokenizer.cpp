#include "io/tokenizer/tokenizer.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "io/error.hpp"
#include "io/mapped_file.hpp"
#include "io/strict_json.hpp"
#include "io/text_of.hpp"
#include "io/tokenizer/added_tokens.hpp"
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
  constexpr std::size_t kMost = std::size_t{1} << 29;  // ICU counts in int32, and a step may double the length
  if (text.size() > kMost) {
    throw UserError({.expected = fmt::format("a text of at most {} bytes", kMost),
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

// Words of one text come again and again: each is encoded once. Longer ones are hardly ever the same.
class WordCache {
 public:
  explicit WordCache(const Bpe& model) : model_(model) {}

  void append(const std::string& word, std::vector<std::int32_t>& ids) {
    constexpr std::size_t kLongest = 64;
    if (word.size() > kLongest) {
      const std::vector<std::int32_t> found = model_.encode(word);
      ids.insert(ids.end(), found.begin(), found.end());
      return;
    }
    auto known = words_.find(word);
    if (known == words_.end()) known = words_.emplace(word, model_.encode(word)).first;
    ids.insert(ids.end(), known->second.begin(), known->second.end());
  }

 private:
  const Bpe& model_;
  StringMap<std::vector<std::int32_t>> words_;
};

}  // namespace

struct Tokenizer::Parts {
  Bpe model;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  AddedTokens added;
  PostProcessor post_processor;
  Decoder decoder;

  static Parts parse(const JsonNode& root);
  std::optional<std::string_view> token_of(std::int32_t id) const;
};

Tokenizer::Parts Tokenizer::Parts::parse(const JsonNode& root) {
  root.allow_only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                   "post_processor", "decoder", "model"});
  const JsonNode version = root.member("version");
  if (!version.is_null() && version.text() != "1.0") version.not_implemented("version " + version.text());
  if (root.member("model").is_null()) root.refuse("a member \"model\"", "none");

  Bpe model = Bpe::parse(root.member("model"));
  Normalizer normalizer = Normalizer::parse(root.member("normalizer"));
  PreTokenizer pre_tokenizer = PreTokenizer::parse(root.member("pre_tokenizer"), normalizer.moves_start());
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

std::vector<std::int32_t> Tokenizer::encode(std::string_view utf8, EncodeOptions options) const {
  check_text(utf8);
  std::vector<std::int32_t> ids;
  if (options.add_special_tokens) ids = parts_->post_processor.prefix;
  WordCache words(parts_->model);
  for (const Segment& given : parts_->added.split_original(utf8)) {
    if (given.id) {
      ids.push_back(*given.id);
      continue;
    }
    const std::string text = parts_->normalizer.apply(std::string(given.text));
    for (const Segment& segment : parts_->added.split_normalized(text)) {
      if (segment.id) {
        ids.push_back(*segment.id);
        continue;
      }
      const bool at_start = given.text.data() == utf8.data() && segment.text.data() == text.data();
      const Position position = at_start ? Position::text_start : Position::after_token;
      for (const std::string& word : parts_->pre_tokenizer.apply(std::string(segment.text), position)) {
        words.append(word, ids);
      }
    }
  }
  if (options.add_special_tokens) {
    const auto& suffix = parts_->post_processor.suffix;
    ids.insert(ids.end(), suffix.begin(), suffix.end());
  }
  return ids;
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
