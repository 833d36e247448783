#include "io/tokenizer/post_processor.hpp"

#include <fmt/format.h>

namespace anchorage::io {
namespace {

std::vector<std::int32_t> ids_of(const JsonNode& special_token) {
  if (special_token.is_null()) special_token.refuse("a special token that the template names", "nothing");
  std::vector<std::int32_t> ids;
  for (const JsonNode& id : special_token.member("ids").elements()) ids.push_back(id.count());
  return ids;
}

PostProcessor parse_template(const JsonNode& node) {
  node.allow_only({"single", "pair", "special_tokens"});
  PostProcessor processor;
  int texts = 0;
  for (const JsonNode& piece : node.member("single").elements()) {
    if (const JsonNode special = piece.member("SpecialToken"); !special.is_null()) {
      const auto ids = ids_of(node.member("special_tokens").member(special.member("id").text()));
      auto& side = texts == 0 ? processor.prefix : processor.suffix;
      side.insert(side.end(), ids.begin(), ids.end());
    } else {
      const JsonNode id = piece.member("Sequence").member("id");
      if (id.text() != "A") id.refuse("\"A\" in the template for a single text", id.text());
      ++texts;
    }
  }
  if (texts != 1) node.not_implemented(fmt::format("a template with the text {} times", texts));
  return processor;
}

std::vector<OffsetTrim> parse_trims(const JsonNode& node) {
  if (!node.member("trim_offsets").flag_or(true)) return {};
  return {{.keeps_one_space = node.member("add_prefix_space").flag_or(true)}};
}

// {"sep": ["</s>", 2], "cls": ["<s>", 0]}
PostProcessor parse_bert(const JsonNode& node) {
  node.allow_only({"sep", "cls", "trim_offsets", "add_prefix_space"});
  const auto id = [&](std::string_view key) {
    const std::vector<JsonNode> token = node.member(key).elements();
    if (token.size() != 2) node.member(key).refuse("a token and its id", fmt::format("{} values", token.size()));
    return token[1].count();
  };
  return {.prefix = {id("cls")}, .suffix = {id("sep")}};
}

}  // namespace

PostProcessor PostProcessor::parse(const JsonNode& node) {
  if (node.is_null()) return {};
  const std::string type = node.type();
  if (type == "TemplateProcessing") return parse_template(node);
  if (type == "BertProcessing") return parse_bert(node);
  if (type == "RobertaProcessing") {
    PostProcessor processor = parse_bert(node);
    processor.trims = parse_trims(node);
    return processor;
  }
  if (type == "ByteLevel") {
    node.allow_only({"add_prefix_space", "trim_offsets", "use_regex"});
    return {.trims = parse_trims(node)};
  }
  if (type != "Sequence") node.not_implemented(fmt::format("the post-processor \"{}\"", type));
  node.allow_only({"processors"});
  PostProcessor all;
  for (const JsonNode& element : node.member("processors").elements()) {
    PostProcessor one = parse(element);
    if (one.adds() && all.adds()) element.not_implemented("a second post-processor that adds tokens");
    all.trims.insert(all.trims.end(), one.trims.begin(), one.trims.end());
    if (!one.adds()) continue;
    all.prefix = std::move(one.prefix);
    all.suffix = std::move(one.suffix);
  }
  return all;
}

}  // namespace anchorage::io
