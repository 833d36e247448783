#include "sharding/command.hpp"

#include <nlohmann/json.hpp>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

nlohmann::json fields_of(const ApplyBatch& command) {
  auto edits = nlohmann::json::array();
  for (const io::Edit& edit : command.edits) edits.push_back(io::to_json(edit));
  return {{"command", "apply_batch"}, {"edits", edits}};
}

nlohmann::json fields_of(const ReplaySegment& command) {
  return {{"command", "replay_segment"}, {"path", command.path}};
}

nlohmann::json fields_of(const Stop&) {
  return {{"command", "stop"}};
}

}  // namespace

std::vector<std::byte> encode(const Command& command) {
  const auto fields = std::visit([](const auto& alternative) { return fields_of(alternative); }, command);
  const auto cbor = nlohmann::json::to_cbor(fields);
  const auto bytes = std::as_bytes(std::span(cbor));
  return {bytes.begin(), bytes.end()};
}

Command decode(std::span<const std::byte> bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const auto fields = nlohmann::json::from_cbor(data, data + bytes.size());
  const std::string name = fields.at("command");
  if (name == "apply_batch") {
    ApplyBatch command;
    for (const std::string edit : fields.at("edits"))
      command.edits.push_back(io::edit_from_json(edit, "a command"));
    return command;
  }
  if (name == "replay_segment") return ReplaySegment{fields.at("path")};
  if (name == "stop") return Stop{};
  throw io::InternalError(fmt::format("a command named '{}'", name));
}

}  // namespace anchorage::sharding
