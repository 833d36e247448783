// --chat-template: prompts as the model's own chat template renders them.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "io/edits/reader.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// Adds the option; `role` is "" (prompts as they are), "system" or "user": whose message a prompt is.
void add_chat_template_option(CLI::App& command, std::string& role);

// The prompts as transformers renders them with the template of this model directory, each as the only message, up
// to where the answer begins. Takes seconds. Throws io::UserError where the model has no template, or none for the
// role.
std::vector<std::string> rendered(const std::filesystem::path& model, const std::string& role,
                                  const std::vector<std::string>& prompts);
// The same on every rank, computed on rank 0. Collective.
std::vector<std::string> rendered(const std::filesystem::path& model, const std::string& role,
                                  const std::vector<std::string>& prompts, sharding::HostCommunicator& ranks);

// Gives every edit of the file the prompt that the model will see (io::Edit::chat_prompt); one that the template
// changes is rejected. Nothing where `role` is empty.
void render_prompts(io::EditsFile& file, const std::filesystem::path& model, const std::string& role);
// Also renders paraphrases and neighborhood, for evaluation. Collective.
void render_all_prompts(io::EditsFile& file, const std::filesystem::path& model, const std::string& role,
                        sharding::HostCommunicator& ranks);

}  // namespace anchorage::launch
