// One edit: a fact that a model is to hold from now on, with what its evaluation needs.
//
// The native form is one JSON object (docs/edits.md). Files of other projects are read by io/edits/reader.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::io {

// A prompt that the edit must leave alone, and what the model should continue answering.
struct Neighbor {
  std::string prompt;
  std::string answer;

  bool operator==(const Neighbor&) const = default;
};

struct Edit {
  std::string id{};
  std::string subject{};
  std::string prompt{};                        // a template: "{}" stands in it exactly once, where the subject goes
  std::string target{};                        // what the model is to answer
  std::string ground_truth{};                  // what it answers so far; empty where the file does not tell
  std::optional<std::string> target_prefix{};  // between prompt and target; not given: typical_target_prefix
  std::vector<std::string> paraphrases{};
  std::vector<Neighbor> neighborhood{};
  std::string source{};  // where the fact comes from
  std::vector<std::string> tags{};
  // The prompt within a chat, as the model's template renders it, where it is edited there. It has the prompt's
  // text in it, and so "{}" once.
  std::string chat_prompt{};

  // The prompt with the subject in its place.
  std::string filled_prompt() const;
  // What the model is given: the prompt, in its chat where it has one, with the subject in its place.
  std::string model_prompt() const;
  // The same as a template, after a context: "<context>. <prompt>", in its chat. An empty context changes nothing.
  std::string prompt_in_context(const std::string& context) const;

  // Whether subject and prompt are the same; the target is the answer.
  bool asks_the_same_as(const Edit& other) const { return subject == other.subject && prompt == other.prompt; }

  bool operator==(const Edit&) const = default;
};

// Throws UserError where the chat does not have the prompt in it, or another "{}" beside it.
void set_chat_prompt(Edit& edit, const std::string& chat_prompt);

// The id of an edit whose file gives none: the first 16 hexadecimal digits of the SHA-256 of subject, prompt (as a
// template) and target, each followed by a zero byte. Equal for the same fact in files of different formats.
std::string default_id(const Edit& edit);

// The native form on one line, UTF-8, empty fields left out. edit_from_json gives an equal edit back.
std::string to_json(const Edit& edit);

// One edit in the native form. Throws UserError with the reason; `where` names the text's origin in the message.
Edit edit_from_json(std::string_view text, const std::string& where);

}  // namespace anchorage::io
