// Translates Oniguruma's dialect of regular expressions (Ruby's syntax, UTF-8), which `tokenizers` uses, to
// ICU's.
//
// Most of what real tokenizers use has the same spelling and meaning in both. What differs is translated
// where that is simple (\w, \h, \v, \p{^...}) and refused where it is not, since a pattern that silently
// means something else would give other ids. Classes also get the characters that Oniguruma's newer Unicode
// has and ICU's may lack.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace anchorage::io {

// Thrown for a construct that the translation does not know.
class UnknownConstruct : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;  // what() is the construct: "\\X"
};

// Translates the pattern or throws UnknownConstruct. Compile the result with UREGEX_UNIX_LINES and
// UREGEX_MULTILINE.
std::string icu_from_oniguruma(std::string_view pattern);

}  // namespace anchorage::io
