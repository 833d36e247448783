// Reading the fields of one record, with the reason in words when a field is not what it must be.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "io/edits/edit.hpp"

namespace anchorage::io {

// Why a record cannot be used, in words that follow "edits.jsonl, line 12: ".
class BadRecord : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What a value is, for messages: "a list", "a number", "nothing".
std::string_view kind_of(const nlohmann::json& value);

// The entries of a list; what is no list is its own only entry.
std::span<const nlohmann::json> entries_of(const nlohmann::json& value);

// Texts come without white space at their ends, except for the line breaks after a prompt, with which its author
// ends it. A whole number is the text of its digits; another number is no text, for how it was written is lost.

// A field that must be there and hold some text.
std::string required_text(const nlohmann::json& record, std::string_view key);
std::string required_prompt(const nlohmann::json& record, std::string_view key);
// The text as it stands, with its white space; none where the field is missing or null.
std::optional<std::string> text_as_it_is(const nlohmann::json& record, std::string_view key);
// "" where the field is missing or null. A list, or a list of lists of aliases, gives its first text.
std::string optional_text(const nlohmann::json& record, std::string_view key);
// A text or a list of texts; none where the field is missing or null. Empty texts are left out.
std::vector<std::string> text_list(const nlohmann::json& record, std::string_view key);
std::vector<std::string> prompt_list(const nlohmann::json& record, std::string_view key);

// One prompt with its answer (or the list of the answer's aliases), or equally long lists of both. An answer that
// is not given is `fallback`; a prompt that has no answer even so cannot be scored and is left out.
std::vector<Neighbor> neighbors(const nlohmann::json& record, std::string_view prompt_key,
                                std::string_view answer_key, const std::string& fallback);

// The prompt with "{}" for the subject: as it stands where it has one "{}", else with its one occurrence of the
// subject replaced. The ROME family replaces every occurrence and then refuses more than one; so does this.
std::string template_of(const std::string& prompt, const std::string& subject);

}  // namespace anchorage::io
