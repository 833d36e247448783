#include "io/tokenizer/metaspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  std::size_t copied = 0;
  for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, copied)) {
    result.append(text.substr(copied, at - copied)).append(to);
    copied = at + from.size();
  }
  return result.append(text.substr(copied));
}

Metaspace::Scheme parse_scheme(const JsonNode& node) {
  const std::string name = node.is_null() ? "always" : node.text();
  if (name == "always") return Metaspace::Scheme::always;
  if (name == "first") return Metaspace::Scheme::first;
  if (name == "never") return Metaspace::Scheme::never;
  node.not_implemented(fmt::format("the prepend_scheme \"{}\"", name));
}

}  // namespace

Metaspace Metaspace::parse(const JsonNode& node) {
  node.allow_only({"replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
  Metaspace metaspace{.replacement = to_utf8(std::u32string(1, node.member("replacement").character())),
                      .scheme = parse_scheme(node.member("prepend_scheme")),
                      .splits = node.member("split").flag_or(true)};
  // The older spelling, which says no more than the newer one.
  const JsonNode prefix = node.member("add_prefix_space");
  if (!prefix.flag_or(true) && metaspace.scheme != Scheme::never) {
    prefix.refuse("add_prefix_space in agreement with prepend_scheme", "false without \"never\"");
  }
  return metaspace;
}

std::vector<std::string> Metaspace::split_words(std::string_view given, bool at_text_start) const {
  std::string text = replace_all(given, " ", replacement);
  const bool prepends = scheme == Scheme::always || (scheme == Scheme::first && at_text_start);
  if (prepends && !text.starts_with(replacement)) text.insert(0, replacement);
  if (!splits) return {std::move(text)};
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(replacement, begin + 1), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

std::vector<std::string> Metaspace::restore_spaces(std::vector<std::string> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool was_put_there = i == 0 && scheme != Scheme::never;
    tokens[i] = replace_all(tokens[i], replacement, was_put_there ? "" : " ");
  }
  return tokens;
}

}  // namespace anchorage::io
