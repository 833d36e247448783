#include "io/tokenizer/normalizer.hpp"

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <string>
#include <string_view>

#include "io/tokenizer/replacement.hpp"
#include "io/tokenizer/unicode_form.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

// Lowercases character by character, regardless of language and neighbors (no final sigma), like Rust's
// char::to_lowercase.
void lowercase(AlignedText& text) {
  std::vector<AlignedText::Change> changes;
  for (const char32_t character : code_points(text.text())) {
    changes.push_back({static_cast<char32_t>(u_tolower(static_cast<UChar32>(character))), 0});
    if (character == U'\u0130') changes.push_back({U'\u0307', 1});  // the only one that becomes two
  }
  text.rewrite(changes);
}

void strip(AlignedText& text, bool left, bool right) {
  const std::string_view whole = text.text();
  const std::size_t begin = left ? length_of_leading_space(whole) : 0;
  const std::size_t following = right ? length_of_trailing_space(whole.substr(begin)) : 0;
  text.keep({begin, whole.size() - following});
}

}  // namespace

Normalizer Normalizer::parse(const JsonNode& node) {
  Normalizer normalizer;
  if (!node.is_null()) normalizer.add(node);
  return normalizer;
}

void Normalizer::add(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") {
    node.allow_only({"normalizers"});
    for (const JsonNode& element : node.member("normalizers").elements()) add(element);
  } else if (const auto form = UnicodeForm::named(type)) {
    node.allow_only({});
    steps_.push_back([form = *form](AlignedText& text) { form.apply(text); });
  } else if (type == "Lowercase") {
    node.allow_only({});
    steps_.push_back(lowercase);
  } else if (type == "Strip") {
    node.allow_only({"strip_left", "strip_right"});
    const bool left = node.member("strip_left").flag();
    const bool right = node.member("strip_right").flag();
    steps_.push_back([left, right](AlignedText& text) { strip(text, left, right); });
  } else if (type == "Prepend") {
    node.allow_only({"prepend"});
    steps_.push_back([prefix = node.member("prepend").text()](AlignedText& text) { text.prepend(prefix); });
  } else if (type == "Replace") {
    steps_.push_back([replacement = Replacement::parse(node)](AlignedText& text) { replacement.apply(text); });
  } else {
    node.not_implemented(fmt::format("the normalizer \"{}\"", type));
  }
}

void Normalizer::apply(AlignedText& text) const {
  for (const Step& step : steps_) step(text);
}

}  // namespace anchorage::io
