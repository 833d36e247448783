#include "io/evaluation/rouge.hpp"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace anchorage::io {
namespace {

using Words = std::vector<std::string>;

Words words_of(std::string_view text) {
  Words words;
  bool is_inside = false;
  const auto lower = icu::UnicodeString::fromUTF8({text.data(), static_cast<std::int32_t>(text.size())})
                         .toLower(icu::Locale::getRoot());
  for (std::int32_t i = 0; i < lower.length(); ++i) {
    const char16_t character = lower[i];
    const bool belongs = (character >= u'a' && character <= u'z') || (character >= u'0' && character <= u'9');
    if (belongs && !is_inside) words.emplace_back();
    if (belongs) words.back().push_back(static_cast<char>(character));
    is_inside = belongs;
  }
  return words;
}

double f_measure(std::size_t shared, std::size_t of_text, std::size_t of_reference) {
  if (shared == 0) return 0;
  const double precision = static_cast<double>(shared) / static_cast<double>(of_text);
  const double recall = static_cast<double>(shared) / static_cast<double>(of_reference);
  return 2 * precision * recall / (precision + recall);
}

std::map<Words, std::size_t> counts(const Words& words, std::size_t n) {
  std::map<Words, std::size_t> counts;
  for (auto begin = words.begin(); words.end() - begin >= static_cast<std::ptrdiff_t>(n); ++begin)
    ++counts[{begin, begin + static_cast<std::ptrdiff_t>(n)}];
  return counts;
}

double rouge_n(const Words& text, const Words& reference, std::size_t n) {
  const auto of_text = counts(text, n), of_reference = counts(reference, n);
  std::size_t shared = 0;
  for (const auto& [gram, count] : of_text) {
    const auto found = of_reference.find(gram);
    if (found != of_reference.end()) shared += std::min(count, found->second);
  }
  const auto total = [n](const Words& words) { return words.size() < n ? 0 : words.size() - n + 1; };
  return f_measure(shared, total(text), total(reference));
}

std::size_t longest_common_subsequence(const Words& a, const Words& b) {
  std::vector<std::size_t> row(b.size() + 1);  // of the words of a so far and the first of b
  for (const std::string& word : a) {
    std::size_t diagonal = 0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

}  // namespace

Rouge rouge(std::string_view text, std::string_view reference) {
  const Words said = words_of(text), wanted = words_of(reference);
  return {.one = rouge_n(said, wanted, 1),
          .two = rouge_n(said, wanted, 2),
          .longest = f_measure(longest_common_subsequence(said, wanted), said.size(), wanted.size())};
}

}  // namespace anchorage::io
