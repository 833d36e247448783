#include "io/tokenizer/unicode_form.hpp"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "io/error.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

using Change = AlignedText::Change;

icu::UnicodeSet characters_of_unicode_9() {
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeSet characters(u"[:age=9.0:]", status);
  check(U_SUCCESS(status), u_errorName(status));
  characters.freeze();
  return characters;
}

}  // namespace

struct UnicodeForm::Tables {
  const icu::Normalizer2* decomposition;  // canonical (NFD) or compatible (NFKD)
  const icu::Normalizer2* form;           // the requested form
  const icu::Normalizer2* composition;    // null: characters stay decomposed
  icu::UnicodeSet characters = characters_of_unicode_9();

  std::uint8_t combining_class(char32_t character) const {
    const auto code = static_cast<UChar32>(character);
    return characters.contains(code) ? u_getCombiningClass(code) : std::uint8_t{0};
  }

  std::u32string decomposed(char32_t character) const {
    const auto code = static_cast<UChar32>(character);
    icu::UnicodeString parts;
    if (!characters.contains(code) || !decomposition->getDecomposition(code, parts)) return {character};
    std::string utf8;
    return code_points(parts.toUTF8String(utf8));
  }

  std::optional<char32_t> composed(char32_t first, char32_t second) const {
    const auto a = static_cast<UChar32>(first), b = static_cast<UChar32>(second);
    if (!characters.contains(a) || !characters.contains(b)) return std::nullopt;
    const UChar32 both = composition->composePair(a, b);
    if (both < 0 || !characters.contains(both)) return std::nullopt;
    return static_cast<char32_t>(both);
  }

  bool leaves(const std::string& text) const {
    UErrorCode status = U_ZERO_ERROR;
    const icu::FilteredNormalizer2 filtered(*form, characters);
    const bool normalized =
        filtered.isNormalizedUTF8({text.data(), static_cast<std::int32_t>(text.size())}, status) != 0;
    check(U_SUCCESS(status), u_errorName(status));
    return normalized;
  }

  std::vector<Change> decompose(std::u32string_view text) const;
  std::vector<Change> compose(const std::vector<Change>& decomposed) const;
};

// Decomposes all characters, and sorts runs of combining marks by their classes.
std::vector<Change> UnicodeForm::Tables::decompose(std::u32string_view text) const {
  std::vector<Change> changes;
  std::size_t marks = 0;  // where the run of marks at the end begins
  const auto sort_marks = [&] {
    std::stable_sort(changes.begin() + static_cast<std::ptrdiff_t>(marks), changes.end(),
                     [this](const Change& a, const Change& b) {
                       return combining_class(a.character) < combining_class(b.character);
                     });
  };
  for (const char32_t character : text) {
    std::ptrdiff_t change = 0;
    for (const char32_t part : decomposed(character)) {
      if (combining_class(part) == 0) {
        sort_marks();
        marks = changes.size() + 1;
      }
      changes.push_back({part, std::exchange(change, 1)});
    }
  }
  if (marks < changes.size()) sort_marks();
  return changes;
}

// A starter absorbs the marks after it with which it has a composed character, unless a remaining mark of the
// same or a higher class lies between (Unicode, D117). The composed character replaces both.
std::vector<Change> UnicodeForm::Tables::compose(const std::vector<Change>& decomposed) const {
  std::vector<Change> changes;
  std::optional<std::size_t> starter;  // index in `changes`
  int last_class = -1;                 // class of the last remaining mark after it
  for (const Change& next : decomposed) {
    const int own_class = combining_class(next.character);
    if (starter && last_class < own_class) {
      Change& first = changes[*starter];
      if (const auto both = composed(first.character, next.character)) {
        first = {*both, first.change + next.change - 1};
        continue;
      }
    }
    if (own_class == 0) {
      starter = changes.size();
      last_class = -1;
    } else if (starter) {
      last_class = own_class;
    }
    changes.push_back(next);
  }
  return changes;
}

std::optional<UnicodeForm> UnicodeForm::named(const std::string& type) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* nfc = icu::Normalizer2::getNFCInstance(status);
  const auto* nfd = icu::Normalizer2::getNFDInstance(status);
  const auto* nfkc = icu::Normalizer2::getNFKCInstance(status);
  const auto* nfkd = icu::Normalizer2::getNFKDInstance(status);
  check(U_SUCCESS(status), u_errorName(status));
  const auto form = [](auto* decomposition, auto* whole, auto* composition) {
    return UnicodeForm(std::make_shared<const Tables>(
        Tables{.decomposition = decomposition, .form = whole, .composition = composition}));
  };
  const icu::Normalizer2* none = nullptr;
  if (type == "NFC") return form(nfd, nfc, nfc);
  if (type == "NFD") return form(nfd, nfd, none);
  if (type == "NFKC") return form(nfkd, nfkc, nfc);
  if (type == "NFKD") return form(nfkd, nfkd, none);
  return std::nullopt;
}

void UnicodeForm::apply(AlignedText& text) const {
  if (tables_->leaves(text.text())) return;
  std::vector<Change> changes = tables_->decompose(code_points(text.text()));
  if (tables_->composition != nullptr) changes = tables_->compose(changes);
  text.rewrite(changes);
}

}  // namespace anchorage::io
