// One edit: a fact that a model is to hold from now on, with what its evaluation needs.
//
// The native form is one JSON object (docs/edits.md). Files of other projects are read by io/edits/reader.hpp.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::io {

// A prompt beside those of the fact itself, and what the model should answer: one that the edit must leave alone,
// or one whose answer follows from the edit.
struct Neighbor {
  std::string prompt;
  std::string answer;
  std::vector<std::string> aliases{};  // what a free answer may say as well

  // Returns the answer, then its aliases.
  std::vector<std::string> accepted_answers() const;

  bool operator==(const Neighbor&) const = default;
};

struct Edit {
  std::string id{};
  std::string subject{};
  std::string prompt{};                        // a template: holds "{}" exactly once, where the subject goes
  std::string target{};                        // the answer to write into the model
  std::string ground_truth{};                  // the model's answer so far; empty where the file does not say
  std::optional<std::string> target_prefix{};  // between prompt and target; none: typical_target_prefix
  std::optional<bool> target_end{};  // whether the end of text is written after the target; none: as hparams say
  std::vector<std::string> paraphrases{};
  std::vector<Neighbor> neighborhood{};
  std::vector<Neighbor> portability{};  // what follows from the edit
  std::string source{};                 // where the fact comes from
  // Provenance, empty where the record does not say: when the fact held, who gave it, who approved it, and the date
  // from which it holds no more. Dates as in io/date.hpp.
  std::string as_of{}, author{}, approved_by{}, expires{};
  std::vector<std::string> tags{};
  // The prompt within a chat, as the model's template renders it; empty where the edit is made without a
  // chat. It contains the prompt's text and so holds "{}" once.
  std::string chat_prompt{};

  // Returns the prompt with the subject in its place.
  std::string filled_prompt() const;
  // Returns what the model is given: the prompt, in its chat where it has one, with the subject in its place.
  std::string model_prompt() const;
  // Returns the same as a template after a context: "<context>. <prompt>", in its chat. An empty context
  // changes nothing.
  std::string prompt_in_context(const std::string& context) const;

  // Whether someone else than its author has approved it.
  bool is_approved() const { return !approved_by.empty() && approved_by != author; }
  // Whether it holds no more on this day.
  bool has_expired(const std::chrono::year_month_day& day) const;

  // Whether both edits have the same subject and prompt; their targets may differ.
  bool asks_the_same_as(const Edit& other) const { return subject == other.subject && prompt == other.prompt; }

  bool operator==(const Edit&) const = default;
};

// Throws UserError where the chat does not contain the prompt, or holds another "{}" beside it.
void set_chat_prompt(Edit& edit, const std::string& chat_prompt);

// Returns the id of an edit whose file gives none: the first 16 hexadecimal digits of the SHA-256 of subject,
// prompt (as a template) and target, each followed by a zero byte. Equal for the same fact in files of
// different formats.
std::string default_id(const Edit& edit);

// Writes the native form on one line, UTF-8, empty fields left out; edit_from_json reads an equal edit from
// it.
std::string to_json(const Edit& edit);

// Reads one edit in the native form. Throws UserError with the reason; `where` names the text's origin in the
// message.
Edit edit_from_json(std::string_view text, const std::string& where);

}  // namespace anchorage::io
