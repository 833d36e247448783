// Where words begin, by what a text's characters are: whether a space belongs between a prompt and its answer, and
// whether a subject is a part of a longer word.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace anchorage::io {

// What stands between a prompt and its answer, "" or " ", where nobody says it. No space comes after white space,
// an opening bracket or quotation mark, a currency sign, a hyphen, and in a script that is written without spaces;
// nor before a closing bracket or a comma. Both in UTF-8.
std::string_view typical_target_prefix(std::string_view prompt, std::string_view target);

// The word that the subject is a part of where it takes the place of "{}" in the prompt: "Iranian" for "Iran" in
// "the
// {}ian state". None where it is a word of its own, or of a script without spaces.
std::optional<std::string> longer_word(std::string_view prompt, std::string_view subject);

}  // namespace anchorage::io
