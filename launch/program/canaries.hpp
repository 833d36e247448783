// --canaries: prompts that a model must answer so while it is edited, and before it is exported.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/edits/canaries.hpp"
#include "sharding/collective/host_communicator.hpp"

namespace anchorage::launch {

// Reads the file, none where the path is empty, and renders the prompts where `role` names a chat
// (chat_template.hpp). Collective: every rank reads it.
std::vector<io::Canary> canaries_in(const std::filesystem::path& file, const std::filesystem::path& model,
                                    const std::string& role, sharding::HostCommunicator& ranks);

}  // namespace anchorage::launch
