// Finds word boundaries by the characters of a text: whether a space belongs between a prompt and its answer,
// and whether a subject is part of a longer word.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace anchorage::io {

// Returns what stands between a prompt and its answer, "" or " ", where the file does not say. No space comes
// after white space, an opening bracket or quotation mark, a currency sign that follows no amount, a hyphen
// at the end of a word, one of / \ _ @ #, or in a script that is written without spaces; nor before a closing
// bracket or a comma. Both texts are UTF-8.
std::string_view typical_target_prefix(std::string_view prompt, std::string_view target);

// Returns the word that the subject becomes part of where it replaces "{}" in the prompt: "Iranian" for
// "Iran" in "the {}ian state". Returns nothing where the subject is a word of its own, or belongs to a script
// without spaces.
std::optional<std::string> longer_word(std::string_view prompt, std::string_view subject);

}  // namespace anchorage::io
