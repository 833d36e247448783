#include "io/tokenizer/tokenizer_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

// A token is written as its text, or as an object with its text and flags.
void add_token(std::vector<std::string>& tokens, const json& token) {
  const json* text = &token;
  if (token.is_object() && token.contains("content")) text = &token["content"];
  if (text->is_string() && !text->get_ref<const std::string&>().empty()) tokens.push_back(*text);
}

std::vector<std::string> tokens_named_in(const json& config) {
  std::vector<std::string> tokens;
  for (const auto& [key, value] : config.items()) {
    if (key.ends_with("_token")) add_token(tokens, value);
    const bool is_list =
        key == "added_tokens_decoder" || key == "additional_special_tokens" || key == "extra_special_tokens";
    if (!is_list || !value.is_structured()) continue;
    for (const json& token : value) add_token(tokens, token);
  }
  return tokens;
}

bool is_one_token(const std::string& text, const Tokenizer& tokenizer) {
  try {
    const auto ids = tokenizer.encode(text);
    return ids.size() == 1 && tokenizer.token_of(ids.front()) == text;
  } catch (const UserError&) {  // a character that the tokenizer has no token for
    return false;
  }
}

}  // namespace

std::vector<std::string> tokens_of_config_alone(const std::filesystem::path& directory,
                                                const Tokenizer& tokenizer) {
  const std::filesystem::path path = directory / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return {};
  const MappedFile file(path);
  const json config =
      parse_strict_json(text_of(file.bytes()), {.expected = "JSON",
                                                .found = {},
                                                .where = path.string(),
                                                .remedy = "get the file again; it may have been cut off"});
  std::vector<std::string> alone;
  if (!config.is_object()) return alone;
  for (std::string& token : tokens_named_in(config)) {
    const bool is_new = std::ranges::find(alone, token) == alone.end();
    if (is_new && !is_one_token(token, tokenizer)) alone.push_back(std::move(token));
  }
  return alone;
}

}  // namespace anchorage::io
