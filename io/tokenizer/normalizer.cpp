#include "io/tokenizer/normalizer.hpp"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "io/error.hpp"
#include "io/tokenizer/replacement.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

// Null when `type` is not a normalisation form.
const icu::Normalizer2* icu_form(const std::string& type, UErrorCode& status) {
  if (type == "NFC") return icu::Normalizer2::getNFCInstance(status);
  if (type == "NFD") return icu::Normalizer2::getNFDInstance(status);
  if (type == "NFKC") return icu::Normalizer2::getNFKCInstance(status);
  if (type == "NFKD") return icu::Normalizer2::getNFKDInstance(status);
  return nullptr;
}

// One of the four, for the characters of Unicode 9.0 only: the tables of `tokenizers` are that old.
class UnicodeForm {
 public:
  explicit UnicodeForm(const icu::Normalizer2& form)
      : characters_(characters_of_unicode_9()), form_(form, characters_) {}

  std::string apply(const std::string& text) const {
    std::string result;
    icu::StringByteSink<std::string> sink(&result);
    UErrorCode status = U_ZERO_ERROR;
    form_.normalizeUTF8(0, {text.data(), static_cast<std::int32_t>(text.size())}, sink, nullptr, status);
    check(U_SUCCESS(status), u_errorName(status));
    return result;
  }

 private:
  static icu::UnicodeSet characters_of_unicode_9() {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet characters(u"[:age=9.0:]", status);
    check(U_SUCCESS(status), u_errorName(status));
    characters.freeze();
    return characters;
  }

  icu::UnicodeSet characters_;
  icu::FilteredNormalizer2 form_;
};

// Character by character, without regard to language or to neighbours (no final sigma), as Rust's
// char::to_lowercase.
std::string lowercase(const std::string& text) {
  std::u32string result;
  for (const char32_t character : code_points(text)) {
    result += static_cast<char32_t>(u_tolower(static_cast<UChar32>(character)));
    if (character == U'\u0130') result += U'\u0307';  // the only one that becomes two
  }
  return to_utf8(result);
}

bool is_white_space(char32_t character) {
  return u_isUWhiteSpace(static_cast<UChar32>(character)) != 0;
}

std::string strip(const std::string& text, bool left, bool right) {
  const std::u32string characters = code_points(text);
  auto begin = characters.begin();
  auto end = characters.end();
  if (left) begin = std::find_if_not(begin, end, is_white_space);
  while (right && end != begin && is_white_space(*(end - 1))) --end;
  return to_utf8(std::u32string(begin, end));
}

}  // namespace

Normalizer Normalizer::parse(const JsonNode& node) {
  Normalizer normalizer;
  if (!node.is_null()) normalizer.add(node);
  return normalizer;
}

void Normalizer::add(const JsonNode& node) {
  const std::string type = node.type();
  UErrorCode status = U_ZERO_ERROR;
  if (type == "Sequence") {
    node.allow_only({"normalizers"});
    for (const JsonNode& element : node.member("normalizers").elements()) add(element);
  } else if (const icu::Normalizer2* form = icu_form(type, status)) {
    node.allow_only({});
    steps_.push_back([shared = std::make_shared<const UnicodeForm>(*form)](const std::string& text) {
      return shared->apply(text);
    });
  } else if (type == "Lowercase") {
    node.allow_only({});
    steps_.push_back(lowercase);
  } else if (type == "Strip") {
    node.allow_only({"strip_left", "strip_right"});
    const bool left = node.member("strip_left").flag();
    const bool right = node.member("strip_right").flag();
    moves_start_ = moves_start_ || left;
    steps_.push_back([left, right](const std::string& text) { return strip(text, left, right); });
  } else if (type == "Prepend") {
    node.allow_only({"prepend"});
    moves_start_ = true;
    steps_.push_back([prefix = node.member("prepend").text()](const std::string& text) {
      return text.empty() ? text : prefix + text;
    });
  } else if (type == "Replace") {
    const Replacement replacement = Replacement::parse(node);
    moves_start_ = moves_start_ || replacement.content().empty();
    steps_.push_back([replacement](const std::string& text) { return replacement.apply(text); });
  } else {
    node.not_implemented(fmt::format("the normalizer \"{}\"", type));
  }
}

std::string Normalizer::apply(std::string text) const {
  for (const Step& step : steps_) text = step(std::move(text));
  return text;
}

}  // namespace anchorage::io
