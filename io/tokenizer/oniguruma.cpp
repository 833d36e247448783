#include "io/tokenizer/oniguruma.hpp"

#include <fmt/format.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace anchorage::io {
namespace {

bool is_ascii_alphanumeric(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 && (c & 0x80) == 0;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Categories of Unicode's general category, as ICU's bits.
constexpr std::uint32_t word_categories = U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;

struct Addition {
  std::uint32_t category;
  std::uint32_t first;
  std::uint32_t last;
};

constexpr Addition additions[] = {
#include "io/tokenizer/unicode_additions.inc"
};

constexpr std::string_view new_han = "\\U0002ebf0-\\U0002ee5d";  // CJK extension I, of Unicode 15.1

// Returns 0 for names that are not a general category of assigned characters, or that the dialects read
// differently.
std::uint32_t categories_of(const std::string& name) {
  if (name == "Punct" || name == "punct") return 0;  // the POSIX class, which holds symbols
  const std::int32_t mask = u_getPropertyValueEnum(UCHAR_GENERAL_CATEGORY_MASK, name.c_str());
  if (mask == UCHAR_INVALID_CODE) return 0;
  const auto categories = static_cast<std::uint32_t>(mask);
  return (categories & U_GC_CN_MASK) == 0 ? categories : 0;
}

// [<negation><base> and the additions of those categories]
std::string class_of(std::uint32_t categories, std::string_view base, std::string_view negation) {
  std::string icu = fmt::format("[{}{}", negation, base);
  for (const Addition& range : additions) {
    if ((range.category & categories) != 0) icu += fmt::format("\\U{:08x}-\\U{:08x}", range.first, range.last);
  }
  return icu + ']';
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : rest_(pattern) {}

  std::string translate() {
    // A leading (?i) applies to the whole pattern in both dialects; elsewhere they disagree on its scope.
    if (rest_.starts_with("(?i)")) copy(4);
    while (!rest_.empty()) {
      if (rest_.front() == '\\') {
        escape();
      } else if (class_depth_ > 0) {
        inside_class();
      } else {
        outside_class();
      }
    }
    return std::move(icu_);
  }

 private:
  void copy(std::size_t characters) {
    icu_ += rest_.substr(0, characters);
    rest_.remove_prefix(std::min(characters, rest_.size()));
  }

  void replace(std::size_t characters, std::string_view with) {
    icu_ += with;
    rest_.remove_prefix(characters);
  }

  [[noreturn]] static void refuse(std::string_view what) { throw UnknownConstruct(std::string(what)); }

  void open_class() {
    if (rest_.starts_with("[:")) refuse("[:");
    ++class_depth_;
    copy(rest_.starts_with("[^") ? 2 : 1);
    if (rest_.starts_with(']')) refuse("[]");
  }

  void inside_class() {
    if (rest_.front() == '[') return open_class();
    if (rest_.front() == ']') --class_depth_;
    if (rest_.starts_with("--")) refuse("--");
    copy(1);
  }

  void outside_class() {
    switch (rest_.front()) {
      case '[':
        return open_class();
      case '(':
        return group();
      case '{':
        return interval();
      default:
        return copy(1);
    }
  }

  void group() {
    constexpr std::array<std::string_view, 8> same{"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!", "(?i:", "(?-i:"};
    if (!rest_.starts_with("(?")) return copy(1);
    for (const std::string_view opening : same) {
      if (rest_.starts_with(opening)) return copy(opening.size());
    }
    refuse(rest_.substr(0, 4));
  }

  // {n}, {n,}, {n,m}: Ruby reads a '+' after it as a repetition of the whole, ICU as "possessive"; they also
  // differ on a '?' after {n}.
  void interval() {
    const std::size_t end = rest_.find('}');
    if (end == std::string_view::npos) refuse("{");
    const std::string_view body = rest_.substr(1, end - 1);
    if (body.empty() || !is_digit(body.front())) refuse(rest_.substr(0, end + 1));
    const char next = end + 1 < rest_.size() ? rest_[end + 1] : '\0';
    const bool fixed = body.find(',') == std::string_view::npos;
    if (next == '+' || (next == '?' && fixed)) refuse(rest_.substr(0, end + 2));
    copy(end + 1);
  }

  void escape() {
    if (rest_.size() < 2) refuse("\\");
    const char kind = rest_[1];
    if (!is_ascii_alphanumeric(kind)) return copy(1 + (kind & 0x80 ? 0 : 1));
    switch (kind) {
      case 's':
      case 'S':  // ICU repeats a class without keeping each repetition on its stack, but not a bare \s
        return class_depth_ > 0 ? copy(2) : replace(2, kind == 's' ? "[\\s]" : "[\\S]");
      case 'n':
      case 'r':
      case 't':
      case 'f':
      case 'a':
      case 'e':
      case 'u':
        return copy(2);
      case 'd':
        return replace(2, class_of(U_GC_ND_MASK, "\\p{Nd}", ""));
      case 'D':
        return replace(2, class_of(U_GC_ND_MASK, "\\p{Nd}", "^"));
      case 'w':
        return replace(2, class_of(word_categories, word(), ""));
      case 'W':
        return replace(2, class_of(word_categories, word(), "^"));
      case 'h':  // a hexadecimal digit; in ICU horizontal white space
        return replace(2, "[0-9a-fA-F]");
      case 'H':
        return replace(2, "[^0-9a-fA-F]");
      case 'v':  // in ICU vertical white space
        return replace(2, "\\x0b");
      case 'A':
      case 'z':
        if (class_depth_ == 0) return copy(2);
        break;
      case 'x':
        return hexadecimal();
      case 'p':
      case 'P':
        return property();
      default:
        break;
    }
    refuse(rest_.substr(0, 2));
  }

  // Oniguruma's \xHH is a byte, ICU's a character: they agree only for ASCII.
  void hexadecimal() {
    const bool braced = rest_.size() > 2 && rest_[2] == '{';
    if (!braced && (rest_.size() < 4 || rest_[2] < '0' || rest_[2] > '7')) refuse(rest_.substr(0, 4));
    copy(2);
  }

  // ICU's \w includes the joiners (UTS 18), Oniguruma's does not; outside of a class Oniguruma's includes
  // some numbers.
  std::string_view word() const {
    return class_depth_ > 0 ? "[\\w--[\\u200c\\u200d]]"
                            : "[\\w--[\\u200c\\u200d]]\\u00b2\\u00b3\\u00b9\\u00bc-\\u00be";
  }

  // General categories and scripts mean the same; POSIX names such as Punct do not.
  void property() {
    const std::size_t end = rest_.find('}');
    if (rest_.size() < 3 || rest_[2] != '{' || end == std::string_view::npos) refuse(rest_.substr(0, 2));
    std::string name(rest_.substr(3, end - 3));
    const bool caret = name.starts_with('^');
    if (caret) name.erase(0, 1);
    const std::string_view negation = caret == (rest_[1] == 'P') ? "" : "^";
    const std::string base = fmt::format("\\p{{{}}}", name);
    if (const std::uint32_t categories = categories_of(name); categories != 0) {
      replace(end + 1, class_of(categories, base, negation));
    } else if (name == "Han") {
      replace(end + 1, fmt::format("[{}{}{}]", negation, base, new_han));
    } else if (u_getPropertyValueEnum(UCHAR_SCRIPT, name.c_str()) != UCHAR_INVALID_CODE) {
      replace(end + 1, fmt::format("[{}{}]", negation, base));
    } else {
      refuse(rest_.substr(0, end + 1));
    }
  }

  std::string_view rest_;
  std::string icu_;
  int class_depth_ = 0;
};

}  // namespace

std::string icu_from_oniguruma(std::string_view pattern) {
  return Translator(pattern).translate();
}

}  // namespace anchorage::io
