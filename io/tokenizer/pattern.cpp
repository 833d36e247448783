#include "io/tokenizer/pattern.hpp"

#include <unicode/regex.h>

#include <utility>

#include "io/error.hpp"
#include "io/tokenizer/oniguruma.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

// As in Ruby's syntax: only '\n' ends a line, and '^' and '$' match at every line.
constexpr std::uint32_t icu_flags = UREGEX_UNIX_LINES | UREGEX_MULTILINE;

std::unique_ptr<icu::RegexPattern> compile_icu(std::string_view regex, UErrorCode& status) {
  const std::string icu = icu_from_oniguruma(regex);
  UParseError place;
  const auto text = icu::UnicodeString::fromUTF8({icu.data(), static_cast<std::int32_t>(icu.size())});
  return std::unique_ptr<icu::RegexPattern>(icu::RegexPattern::compile(text, icu_flags, place, status));
}

// Converts positions in UTF-16 to positions in UTF-8; call it in ascending order.
class PositionConverter {
 public:
  explicit PositionConverter(std::string_view utf8) : utf8_(utf8) {}

  std::size_t to_utf8(std::int32_t utf16) {
    while (utf16_position_ < utf16) {
      const std::size_t length = character_length(utf8_[utf8_position_]);
      utf8_position_ += length;
      utf16_position_ += length == 4 ? 2 : 1;
    }
    return utf8_position_;
  }

 private:
  std::string_view utf8_;
  std::size_t utf8_position_ = 0;
  std::int32_t utf16_position_ = 0;
};

}  // namespace

struct Pattern::Compiled {
  std::unique_ptr<icu::RegexPattern> regex;  // null: matches are occurrences of `literal`
  std::string literal;
};

std::vector<TextRange> occurrences(std::string_view text, std::string_view part) {
  std::vector<TextRange> ranges;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
    ranges.push_back({at, at + part.size()});
  }
  return ranges;
}

std::string replaced(std::string_view text, std::span<const TextRange> ranges, std::string_view content) {
  std::string result;
  std::size_t done = 0;
  for (const TextRange& range : ranges) {
    result.append(text.substr(done, range.begin - done)).append(content);
    done = range.end;
  }
  return result.append(text.substr(done));
}

Pattern::Pattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

Pattern Pattern::parse(const JsonNode& node) {
  const JsonNode literal = node.member("String");
  const JsonNode regex = node.member("Regex");
  if (literal.is_null() == regex.is_null()) node.refuse("either \"String\" or \"Regex\"", "both or neither");
  const std::string given = literal.is_null() ? regex.text() : literal.text();
  if (given.empty()) node.not_implemented("an empty pattern");
  if (!literal.is_null()) return Pattern(std::make_shared<Compiled>(Compiled{nullptr, given}));

  try {
    UErrorCode status = U_ZERO_ERROR;
    auto compiled = compile_icu(given, status);
    if (U_FAILURE(status)) {
      regex.refuse("a regular expression", fmt::format("'{}' ({})", given, u_errorName(status)));
    }
    return Pattern(std::make_shared<Compiled>(Compiled{std::move(compiled), {}}));
  } catch (const UnknownConstruct& unknown) {
    regex.not_implemented(fmt::format("'{}' in a regular expression", unknown.what()));
  }
}

Pattern Pattern::compile(std::string_view regex) {
  UErrorCode status = U_ZERO_ERROR;
  auto compiled = compile_icu(regex, status);
  check(U_SUCCESS(status), fmt::format("pattern '{}': {}", regex, u_errorName(status)));
  return Pattern(std::make_shared<Compiled>(Compiled{std::move(compiled), {}}));
}

std::vector<TextRange> Pattern::find_all(std::string_view utf8) const {
  if (!compiled_->regex) return occurrences(utf8, compiled_->literal);
  const auto text = icu::UnicodeString::fromUTF8({utf8.data(), static_cast<std::int32_t>(utf8.size())});
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::RegexMatcher> matcher(compiled_->regex->matcher(text, status));
  check(U_SUCCESS(status), u_errorName(status));
  matcher->setStackLimit(0, status);  // none: Oniguruma has none either
  PositionConverter positions(utf8);
  std::vector<TextRange> matches;
  std::int32_t last_end = -1;
  while (U_SUCCESS(status) && matcher->find(status)) {
    const std::int32_t start = matcher->start(status);
    const std::int32_t end = matcher->end(status);
    if (start == end && start == last_end) continue;
    const std::size_t begin = positions.to_utf8(start);
    matches.push_back({begin, positions.to_utf8(end)});
    last_end = end;
  }
  if (U_FAILURE(status)) {
    throw UserError({.expected = "a text on which the tokenizer's pattern can be matched",
                     .found = fmt::format("one of {} bytes that fails ({})", utf8.size(), u_errorName(status)),
                     .where = "",
                     .remedy = "give the text in smaller parts"});
  }
  return matches;
}

}  // namespace anchorage::io
