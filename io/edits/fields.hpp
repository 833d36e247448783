// Reads the fields of one record; errors say why a field cannot be used.
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

// Describes a value for messages: "a list", "a number", "nothing".
std::string_view kind_of(const nlohmann::json& value);

// Returns the entries of a list; a value that is not a list counts as its only entry.
std::span<const nlohmann::json> entries_of(const nlohmann::json& value);

// Texts are returned without white space at their ends; a prompt keeps the line breaks after it, since its
// author put them there. A whole number becomes the text of its digits; any other number is refused as text,
// because its original spelling is lost.

// Reads a field that must be present and not empty.
std::string required_text(const nlohmann::json& record, std::string_view key);
std::string required_prompt(const nlohmann::json& record, std::string_view key);
// Reads the text unchanged, with its white space; returns nothing where the field is missing or null.
std::optional<std::string> text_as_it_is(const nlohmann::json& record, std::string_view key);
// Returns nothing where the field is missing or null.
std::optional<bool> optional_truth(const nlohmann::json& record, std::string_view key);
// Returns "" where the field is missing or null; takes the first text of a list, or of a list of lists of
// aliases.
std::string optional_text(const nlohmann::json& record, std::string_view key);
// Reads a text or a list of texts; returns none where the field is missing or null. Leaves empty texts out.
std::vector<std::string> text_list(const nlohmann::json& record, std::string_view key);
// Reads a text, a list of texts, or lists of such lists, into one list in which no text repeats.
std::vector<std::string> flat_text_list(const nlohmann::json& record, std::string_view key);
std::vector<std::string> prompt_list(const nlohmann::json& record, std::string_view key);

enum class Aliases { left_out, kept };

// Reads one prompt with its answer (or the list of the answer's aliases, the first of which is the answer), or
// equally long lists of both. `fallback` stands in for a missing answer; a prompt that still has no answer cannot
// be scored and is left out.
std::vector<Neighbor> neighbors(const nlohmann::json& record, std::string_view prompt_key,
                                std::string_view answer_key, const std::string& fallback,
                                Aliases aliases = Aliases::left_out);

// Returns the prompt with "{}" for the subject: unchanged where it has one "{}", else with its one occurrence
// of the subject replaced. The ROME family replaces every occurrence and then refuses more than one; so does
// this function.
std::string template_of(const std::string& prompt, const std::string& subject);

}  // namespace anchorage::io
