#include "io/tokenizer/metaspace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/tokenizer/pattern.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

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
  // An older spelling, which must agree with the newer one.
  const JsonNode prefix = node.member("add_prefix_space");
  if (!prefix.flag_or(true) && metaspace.scheme != Scheme::never) {
    prefix.refuse("add_prefix_space in agreement with prepend_scheme", "false without \"never\"");
  }
  return metaspace;
}

std::vector<AlignedText> Metaspace::split_words(AlignedText text) const {
  text.replace(occurrences(text.text(), " "), replacement);
  const bool prepends = scheme == Scheme::always || (scheme == Scheme::first && text.begin() == 0);
  if (prepends && !text.starts_with(replacement)) text.prepend(replacement);
  if (!splits) return {std::move(text)};
  std::vector<AlignedText> words;
  for (std::size_t begin = 0; begin < text.text().size();) {
    const std::size_t end = std::min(text.text().find(replacement, begin + 1), text.text().size());
    words.push_back(text.part({begin, end}));
    begin = end;
  }
  return words;
}

std::vector<std::string> Metaspace::restore_spaces(std::vector<std::string> tokens) const {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool was_put_there = i == 0 && scheme != Scheme::never;
    tokens[i] = replaced(tokens[i], occurrences(tokens[i], replacement), was_put_there ? "" : " ");
  }
  return tokens;
}

}  // namespace anchorage::io
