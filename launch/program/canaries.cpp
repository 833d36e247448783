#include "launch/program/canaries.hpp"

#include "launch/program/chat_template.hpp"

namespace anchorage::launch {

std::vector<io::Canary> canaries_in(const std::filesystem::path& file, const std::filesystem::path& model,
                                    const std::string& role, sharding::HostCommunicator& ranks) {
  if (file.empty()) return {};
  std::vector<io::Canary> canaries = io::read_canaries(file);
  if (role.empty()) return canaries;
  std::vector<std::string> texts;
  for (const io::Canary& canary : canaries) texts.push_back(canary.prompt);
  const auto chats = rendered(model, role, texts, ranks);
  for (std::size_t i = 0; i < canaries.size(); ++i) canaries[i].chat_prompt = chats[i];
  return canaries;
}

}  // namespace anchorage::launch
