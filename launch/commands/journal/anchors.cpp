// `anchorage journal anchors`: prints which anchors each layer kept, entered and left, batch by batch, and draws
// them with
// --svg. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "io/files/atomic_file.hpp"
#include "io/run/run_directory.hpp"
#include "launch/commands/journal/anchor_picture.hpp"
#include "launch/commands/journal/journal.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

nlohmann::json anchors_document(const AnchorHistory& history) {
  auto layers = nlohmann::json::array();
  for (const auto& [layer, batches] : history) {
    auto counts = nlohmann::json::array();
    for (const AnchorCounts& one : batches) {
      counts.push_back({{"batch", one.batch},
                        {"chosen", one.chosen},
                        {"kept", one.kept},
                        {"entered", one.entered},
                        {"left", one.left}});
    }
    layers.push_back({{"layer", layer}, {"batches", counts}});
  }
  return layers;
}

std::string table_of(const AnchorHistory& history) {
  std::string table =
      fmt::format("{:>6}{:>7}{:>9}{:>9}{:>9}{:>9}\n", "layer", "batch", "chosen", "kept", "entered", "left");
  for (const auto& [layer, batches] : history) {
    for (const AnchorCounts& one : batches) {
      table += fmt::format("{:>6}{:>7}{:>9}{:>9}{:>9}{:>9}\n", layer, one.batch, one.chosen, one.kept, one.entered,
                           one.left);
    }
  }
  return table;
}

}  // namespace

int show_anchors(const JournalOptions& options, Session& session) {
  const auto directory = io::RunDirectory::view(options.run);
  const AnchorHistory history = anchor_history(io::Journal::open(directory.journal()));
  const std::string& method = directory.record().method;
  nlohmann::json document = {
      {"run", options.run.string()}, {"method", method}, {"layers", anchors_document(history)}};
  std::string text = table_of(history);
  if (history.empty()) {
    document["reason"] = fmt::format("no live batch of this run has anchors (method {})", method);
    text = fmt::format("{}: {}\n", options.run.string(), document["reason"].get<std::string>());
  }
  if (options.picture && !history.empty()) {
    io::write_file_atomically(*options.picture, anchor_picture(history, options.run.filename().string()));
    document["picture"] = options.picture->string();
    text += fmt::format("drawn in {}\n", options.picture->string());
  }
  session.json() ? session.print(document) : session.print(text);
  return done;
}

}  // namespace anchorage::launch
