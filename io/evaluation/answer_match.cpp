#include "io/evaluation/answer_match.hpp"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

namespace anchorage::io {
namespace {

// Python's string.punctuation.
bool is_ascii_punctuation(UChar32 character) {
  return (character >= '!' && character <= '/') || (character >= ':' && character <= '@') ||
         (character >= '[' && character <= '`') || (character >= '{' && character <= '~');
}

// What Python's str.split() splits at.
bool is_python_space(UChar32 character) {
  return u_isUWhiteSpace(character) != 0 || (character >= 0x1c && character <= 0x1f);
}

// What Python's \w matches, underscores aside: \b, where an article ends, is between such a character and another.
bool is_letter_or_number(UChar32 character) {
  return (U_GET_GC_MASK(character) & (U_GC_L_MASK | U_GC_N_MASK)) != 0;
}

icu::UnicodeString lower_without_punctuation(std::string_view text) {
  const auto lower = icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())})
                         .toLower(icu::Locale::getRoot());
  icu::UnicodeString kept;
  for (std::int32_t i = 0; i < lower.length(); i = lower.moveIndex32(i, 1)) {
    if (const UChar32 character = lower.char32At(i); !is_ascii_punctuation(character)) kept.append(character);
  }
  return kept;
}

bool is_article(const icu::UnicodeString& run) {
  return run == u"a" || run == u"an" || run == u"the";
}

// Puts a space in the place of each run of word characters that is an article.
icu::UnicodeString without_articles(const icu::UnicodeString& text) {
  icu::UnicodeString result, run;
  const auto end_run = [&] {
    result.append(is_article(run) ? icu::UnicodeString(u' ') : run);
    run.remove();
  };
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 character = text.char32At(i);
    if (is_letter_or_number(character)) {
      run.append(character);
    } else {
      end_run();
      result.append(character);
    }
  }
  end_run();
  return result;
}

std::string with_single_spaces(const icu::UnicodeString& text) {
  icu::UnicodeString result;
  bool is_apart = false;
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 character = text.char32At(i);
    if (is_python_space(character)) {
      is_apart = !result.isEmpty();
      continue;
    }
    if (is_apart) result.append(u' ');
    is_apart = false;
    result.append(character);
  }
  std::string utf8;
  return result.toUTF8String(utf8);
}

}  // namespace

std::string normalized_answer(std::string_view text) {
  return with_single_spaces(without_articles(lower_without_punctuation(text)));
}

bool matches_exactly(std::string_view text, std::span<const std::string> answers) {
  const std::string normalized = normalized_answer(text);
  return !normalized.empty() && std::ranges::any_of(answers, [&](const std::string& answer) {
    return normalized_answer(answer) == normalized;
  });
}

bool contains_answer(std::string_view text, std::span<const std::string> answers) {
  // Between spaces, a run of whole words is a part of the text.
  const std::string words = " " + normalized_answer(text) + " ";
  return std::ranges::any_of(answers, [&](const std::string& answer) {
    const std::string wanted = normalized_answer(answer);
    return !wanted.empty() && words.find(" " + wanted + " ") != words.npos;
  });
}

std::optional<std::size_t> stop_mark_in(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n\v\f");
  if (first == text.npos) return std::nullopt;
  const std::size_t mark = text.find_first_of(".\n", first + 1);
  return mark == text.npos ? std::nullopt : std::optional(mark);
}

}  // namespace anchorage::io
