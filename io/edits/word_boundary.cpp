#include "io/edits/word_boundary.hpp"

#include <unicode/uchar.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <array>
#include <ranges>

#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

UChar32 code_of(char32_t character) {
  return static_cast<UChar32>(character);
}

bool is_space(char32_t character) {
  return u_isUWhiteSpace(code_of(character)) != 0;
}

bool is_of(char32_t character, std::uint32_t categories) {
  return (U_GET_GC_MASK(code_of(character)) & categories) != 0;
}

// Chinese, Japanese, Thai and their neighbors, with their wide punctuation; not Korean, which has spaces.
bool is_written_without_spaces(char32_t character) {
  constexpr std::array scripts{USCRIPT_HAN,  USCRIPT_HIRAGANA, USCRIPT_KATAKANA, USCRIPT_BOPOMOFO, USCRIPT_YI,
                               USCRIPT_THAI, USCRIPT_LAO,      USCRIPT_KHMER,    USCRIPT_MYANMAR};
  if (std::ranges::any_of(scripts,
                          [&](UScriptCode script) { return uscript_hasScript(code_of(character), script); })) {
    return true;
  }
  const auto width = u_getIntPropertyValue(code_of(character), UCHAR_EAST_ASIAN_WIDTH);
  return is_of(character, U_GC_P_MASK) && (width == U_EA_WIDE || width == U_EA_FULLWIDTH);
}

// Whether an answer follows the prompt without a space, in scripts that have spaces.
bool opens(std::u32string_view prompt) {
  const char32_t last = prompt.back();
  const auto before = prompt.substr(0, prompt.size() - 1);
  const bool stands_alone = before.empty() || is_space(before.back());
  if (is_space(last) || is_of(last, U_GC_PS_MASK | U_GC_PI_MASK)) return true;
  if (last == U'"') return std::ranges::count(prompt, U'"') % 2 == 1;
  if (last == U'\'') return stands_alone;
  if (is_of(last, U_GC_PD_MASK)) return !stands_alone;
  if (is_of(last, U_GC_SC_MASK)) {  // "5 €" closes
    const auto amount = std::ranges::find_if_not(std::views::reverse(before), is_space);
    return amount == before.rend() || !u_isdigit(code_of(*amount));
  }
  return std::u32string_view(U"/\\_@#").find(last) != std::u32string_view::npos;
}

bool closes(char32_t first) {
  return is_of(first, U_GC_PE_MASK | U_GC_PF_MASK) ||
         std::u32string_view(U",;:!?%").find(first) != std::u32string_view::npos;
}

bool is_in_a_word(char32_t character) {
  return is_of(character, U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK) && !is_written_without_spaces(character);
}

}  // namespace

std::string_view typical_target_prefix(std::string_view prompt, std::string_view target) {
  const std::u32string before = code_points(prompt), after = code_points(target);
  if (before.empty() || after.empty()) return "";
  if (opens(before) || closes(after.front()) || is_written_without_spaces(before.back())) return "";
  const bool goes_on =
      is_written_without_spaces(after.front()) && std::ranges::any_of(before, is_written_without_spaces);
  return goes_on ? "" : " ";
}

std::optional<std::string> longer_word(std::string_view prompt, std::string_view subject) {
  const std::size_t place = prompt.find("{}");
  if (place == prompt.npos || subject.empty()) return std::nullopt;
  const std::u32string before = code_points(prompt.substr(0, place)), after = code_points(prompt.substr(place + 2)),
                       within = code_points(subject);
  const auto run = [](auto&& characters) {
    return std::ranges::find_if_not(characters, is_in_a_word) - characters.begin();
  };
  const auto reversed = std::views::reverse(before);
  const std::ptrdiff_t begins = is_in_a_word(within.front()) ? run(reversed) : 0;
  const std::ptrdiff_t ends = is_in_a_word(within.back()) ? run(after) : 0;
  if (begins == 0 && ends == 0) return std::nullopt;
  return to_utf8(before.substr(before.size() - static_cast<std::size_t>(begins))) + std::string(subject) +
         to_utf8(after.substr(0, static_cast<std::size_t>(ends)));
}

}  // namespace anchorage::io
