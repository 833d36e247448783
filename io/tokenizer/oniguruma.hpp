// From Oniguruma's dialect of regular expressions (Ruby's syntax, UTF-8), which `tokenizers` speaks, to ICU's.
//
// Most of what real tokenizers use is spelt and means the same in both. What differs is translated where that is
// simple (\w, \h, \v, \p{^...}) and refused where it is not, for a pattern that silently means something else would
// give other ids. Classes also get the characters that Oniguruma's newer Unicode has and ICU's may not.
#pragma once

#include <string>
#include <string_view>

namespace anchorage::io {

// What a pattern has that the translation does not know.
struct UnknownConstruct {
  std::string text;  // "\\X"
};

// Throws UnknownConstruct. The result is to be compiled with UREGEX_UNIX_LINES and UREGEX_MULTILINE.
std::string icu_from_oniguruma(std::string_view pattern);

}  // namespace anchorage::io
