#include "sharding/protocol/command.hpp"

#include <nlohmann/json.hpp>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

nlohmann::json fields_of(const ApplyBatch& command) {
  auto edits = nlohmann::json::array();
  for (const io::Edit& edit : command.edits) edits.push_back(io::to_json(edit));
  auto superseded = nlohmann::json::array();
  for (const io::RecordedPlace& place : command.superseded.edits)
    superseded.push_back({{"id", place.id}, {"segment", place.segment}, {"edit", place.edit}});
  return {{"command", "apply_batch"},
          {"batch", command.batch},
          {"edits", edits},
          {"superseded", superseded},
          {"live", command.superseded.live}};
}

nlohmann::json fields_of(const AcceptBatch&) {
  return {{"command", "accept_batch"}};
}

nlohmann::json fields_of(const RefreshLeastSquares& command) {
  return {{"command", "refresh_least_squares"}, {"live", command.live}};
}

nlohmann::json fields_of(const RevertBatch&) {
  return {{"command", "undo_batch"}};
}

nlohmann::json fields_of(const ReplaySegment& command) {
  return {{"command", "replay_segment"}, {"path", command.path}};
}

nlohmann::json fields_of(const SaveCheckpoint& command) {
  return {{"command", "save_checkpoint"},
          {"directory", command.directory},
          {"segment", command.segment},
          {"digest", command.digest}};
}

nlohmann::json fields_of(const LoadCheckpoint& command) {
  return {{"command", "load_checkpoint"},
          {"directory", command.directory},
          {"segment", command.segment},
          {"anchors", command.anchors}};
}

nlohmann::json fields_of(const ContinuePrompts& command) {
  return {
      {"command", "continue_prompts"}, {"prompts", command.prompts}, {"max_new_tokens", command.max_new_tokens}};
}

nlohmann::json fields_of(const ScoreTexts& command) {
  return {{"command", "score_texts"}, {"prompts", command.prompts}, {"completions", command.completions}};
}

nlohmann::json fields_of(const Stop&) {
  return {{"command", "stop"}};
}

ApplyBatch apply_batch_of(const nlohmann::json& fields) {
  ApplyBatch command;
  command.batch = fields.at("batch");
  for (const std::string edit : fields.at("edits")) command.edits.push_back(io::edit_from_json(edit, "a command"));
  for (const auto& place : fields.at("superseded")) {
    command.superseded.edits.push_back(
        {.id = place.at("id"), .segment = place.at("segment"), .edit = place.at("edit")});
  }
  command.superseded.live = fields.at("live").get<std::vector<std::string>>();
  return command;
}

Command command_of(const nlohmann::json& fields) {
  const std::string name = fields.at("command");
  if (name == "apply_batch") return apply_batch_of(fields);
  if (name == "accept_batch") return AcceptBatch{};
  if (name == "refresh_least_squares")
    return RefreshLeastSquares{fields.at("live").get<std::vector<std::string>>()};
  if (name == "undo_batch") return RevertBatch{};
  if (name == "replay_segment") return ReplaySegment{fields.at("path")};
  if (name == "save_checkpoint")
    return SaveCheckpoint{fields.at("directory"), fields.at("segment"), fields.at("digest")};
  if (name == "load_checkpoint")
    return LoadCheckpoint{fields.at("directory"), fields.at("segment"), fields.at("anchors")};
  if (name == "continue_prompts") {
    return ContinuePrompts{fields.at("prompts").get<std::vector<std::string>>(), fields.at("max_new_tokens")};
  }
  if (name == "score_texts") {
    return ScoreTexts{fields.at("prompts").get<std::vector<std::string>>(),
                      fields.at("completions").get<std::vector<std::string>>()};
  }
  if (name == "stop") return Stop{};
  throw io::InternalError(fmt::format("a command named '{}'", name));
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
  const auto refuse = [&](const std::exception& error) -> io::InternalError {
    return io::InternalError(
        fmt::format("expected the {} bytes of a command, found: {}", bytes.size(), error.what()));
  };
  try {
    return command_of(nlohmann::json::from_cbor(data, data + bytes.size()));
  } catch (const nlohmann::json::exception& error) {
    throw refuse(error);
  } catch (const io::UserError& error) {  // an edit that is none: rank 0 has read it before
    throw refuse(error);
  }
}

}  // namespace anchorage::sharding
