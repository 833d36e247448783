// Prompts whose answers an edit run must leave as they are: a regression suite (docs/formats.md, "Protected
// facts").
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct ProtectedPrompt {
  std::string subject{};      // empty: the record names none
  std::string prompt;         // with a subject a template: holds "{}" exactly once; otherwise the text itself
  std::string chat_prompt{};  // the same within a chat, as the model's template renders it; empty: without a chat
  std::string where{};        // the record: "suite.jsonl, line 3"

  bool operator==(const ProtectedPrompt&) const = default;
};

struct ProtectedPrompts {
  std::string digest;                    // SHA-256 of the file
  std::vector<ProtectedPrompt> prompts;  // in the order of the file, none of them twice
};

// Reads a JSON file, in any of the ways of io/edits/container.hpp. A record that names subjects is one of a list of
// subjects (io/statistics/subject_list.hpp): a native edit or one of ROME's known facts, for one. Any other has its
// text, or several, in `prompt`. Answers and other fields have no effect: what is protected is what the model says.
// Throws UserError for a file that is missing, broken or empty, and with the place and the reason for a record that
// cannot be used.
ProtectedPrompts read_protected_prompts(const std::filesystem::path& path);

}  // namespace anchorage::io
