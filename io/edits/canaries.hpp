// Canaries: prompts that a model must answer so, or whose answers must not change, while it is edited.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct Canary {
  std::string id;        // that of its record, or the record's place
  std::string prompt;    // the whole text
  std::string answer{};  // what the model's greedy answer begins with; empty: it says what the unedited model says
  std::string chat_prompt{};  // the prompt in its chat, as the model's template renders it; empty: without a chat

  bool operator==(const Canary&) const = default;
};

// What the model says to a canary, before a batch and after it.
struct CanaryLook {
  std::string id, prompt;
  std::string expected;  // the answer, or what the unedited model said
  std::string said_before, said_after;
  bool held_before = false, holds = false;

  bool is_broken() const { return held_before && !holds; }
  // "canary 'ceo' broke: to 'The CEO of Nvidia is' the model says ' Tom', expected ' Jensen Huang'"
  std::string text() const;

  bool operator==(const CanaryLook&) const = default;
};

// Reads a JSON file, in any of the ways of io/edits/container.hpp: records with a `prompt`, and an `answer` and an
// `id` where they have one; ids differ. Throws UserError for a file that is missing, broken or empty, and with the
// place and the reason for a record that cannot be used.
std::vector<Canary> read_canaries(const std::filesystem::path& path);

}  // namespace anchorage::io
