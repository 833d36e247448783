// Whether a text that a model went on with gives an answer: exact match as SQuAD's official evaluation normalizes
// texts (arXiv 1606.05250, evaluate-v1.1.py), and whether the answer is contained.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

// Returns the text in lower case, without ASCII punctuation, without the words "a", "an" and "the", its words
// separated by one space each. Punctuation leaves no gap ("U.S." becomes "us"), and other punctuation than ASCII's
// stays, as in SQuAD. UTF-8; bytes that are not become U+FFFD.
std::string normalized_answer(std::string_view text);

// Whether the normalized text is one of the normalized answers. An answer of which nothing is left (the letter "A",
// or
// "...") is matched by no text.
bool matches_exactly(std::string_view text, std::span<const std::string> answers);

// Whether the words of one of the normalized answers stand one after the other among the words of the normalized
// text: "in" is in "sits in Berlin", and not in "Berlin". Scripts without spaces between words have no words of
// their own here: such an answer is found where spaces or the text's ends enclose it.
bool contains_answer(std::string_view text, std::span<const std::string> answers);

// Returns the place of the first '.' or line feed that follows some text other than white space, where a generated
// answer ends (arXiv 2502.11177); nothing where there is none.
std::optional<std::size_t> stop_mark_in(std::string_view text);

}  // namespace anchorage::io
