// --chat-template: renders prompts with the model's own chat template.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "io/edits/reader.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// Adds the option; `role`, the role of a prompt's message, is "" (bare prompts), "system" or "user".
void add_chat_template_option(CLI::App& command, std::string& role);

// Renders the prompts by transformers with the template of this model directory, each as the only message, up
// to where the answer begins. Takes seconds. Throws io::UserError where the model has no template, or none
// for the role.
std::vector<std::string> rendered(const std::filesystem::path& model, const std::string& role,
                                  const std::vector<std::string>& prompts);
// Renders on rank 0 and returns the result on every rank. Collective.
std::vector<std::string> rendered(const std::filesystem::path& model, const std::string& role,
                                  const std::vector<std::string>& prompts, sharding::HostCommunicator& ranks);

// Sets the prompt that the model will see (io::Edit::chat_prompt) of every edit of the file; rejects an edit
// whose prompt the template changes. Does nothing where `role` is empty.
void render_prompts(io::EditsFile& file, const std::filesystem::path& model, const std::string& role);
// Also renders paraphrases, neighborhood and portability, for evaluation. Collective.
void render_all_prompts(io::EditsFile& file, const std::filesystem::path& model, const std::string& role,
                        sharding::HostCommunicator& ranks);

}  // namespace anchorage::launch
