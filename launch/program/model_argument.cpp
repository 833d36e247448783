#include "launch/program/model_argument.hpp"

#include <charconv>
#include <set>

#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"
#include "launch/program/fingerprints.hpp"
#include "launch/program/model_findings.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {
namespace {

// "DIR@7" -> {"DIR", 7}; a path that itself ends in @digits and exists is taken as it is.
std::pair<std::filesystem::path, std::optional<std::int64_t>> split_batch(const std::string& argument) {
  const auto at = argument.rfind('@');
  if (at == std::string::npos || std::filesystem::exists(argument)) return {argument, std::nullopt};
  std::int64_t batch = 0;
  const char* end = argument.data() + argument.size();
  const auto [stop, error] = std::from_chars(argument.data() + at + 1, end, batch);
  if (error != std::errc() || stop != end) return {argument, std::nullopt};
  return {argument.substr(0, at), batch};
}

// Of an io::LayerRecord or io::RemovedLayer.
template <class Record>
RunUpdate step_of(const Record& record) {
  return {record.layer, worker::to_tensor(record.u), worker::to_tensor(record.v)};
}

OpenedModel load(const ModelArgument& argument, const Session& session) {
  auto directory = io::ModelDirectory::open(argument.base);
  auto tokenizer = io::Tokenizer::load(directory.tokenizer());
  if (session.is_root()) {
    warn_of_findings(directory);
    warn_of_tokens_without_row(tokenizer, directory);
  }
  auto transformer = worker::load_transformer(
      directory, {.device = session.device(), .dtype = session.dtype(), .stages = session.stages()});
  const auto updates = run_updates(argument);
  worker::EditedWeights weights(transformer, directory, updates.layers());
  updates.for_each([&](const RunUpdate& update) { weights.add(update.layer, update.u, update.v); },
                   [&](std::int64_t layer) { return weights.holds(layer); });
  return {std::move(directory), std::move(tokenizer), std::move(transformer)};
}

void wait_for_all(const io::ModelDirectory& model, Session& session) {
  session.host().barrier("wait for all to load the model", timeout_for_reading(model));
}

}  // namespace

ModelArgument parse_model_argument(const std::string& argument) {
  const auto [path, batch] = split_batch(argument);
  if (io::RunDirectory::is_run(path)) {
    return {.base = io::RunDirectory::view(path).record().model, .run = path, .batch = batch};
  }
  if (!std::filesystem::exists(path / "config.json")) {
    throw io::UserError(
        {.expected = "a Hugging Face model directory (with config.json) or a run directory (with run.yaml)",
         .found = std::filesystem::exists(path) ? "neither file" : "no such directory",
         .where = path.string(),
         .remedy = "check the path"});
  }
  if (batch) {
    throw io::UserError({.expected = "a run directory before '@'",
                         .found = "a model",
                         .where = argument,
                         .remedy = "leave out the '@" + std::to_string(*batch) + "'"});
  }
  return {.base = path, .run = std::nullopt, .batch = std::nullopt};
}

void require_segment(const io::Journal& journal, std::int64_t number, const std::string& where) {
  if (number >= 0 && number < std::ssize(journal.list())) return;
  throw io::UserError({.expected = fmt::format("a batch from 0 to {}", std::ssize(journal.list()) - 1),
                       .found = std::to_string(number),
                       .where = where,
                       .remedy = "'anchorage journal list' shows what a run has"});
}

std::vector<std::int64_t> RunUpdates::layers() const {
  std::set<std::int64_t> layers;
  for (const io::JournalEntry& entry : segments_) {
    const io::SegmentReader segment(entry.path);
    for (const auto& changed : {segment.removed_layers(), segment.layers()})
      layers.insert(changed.begin(), changed.end());
  }
  return {layers.begin(), layers.end()};
}

void RunUpdates::for_each(const std::function<void(const RunUpdate&)>& visit,
                          const std::function<bool(std::int64_t)>& wanted) const {
  for (const io::JournalEntry& entry : segments_) {
    const io::SegmentReader segment(entry.path);
    for (const std::int64_t layer : segment.removed_layers()) {
      if (wanted(layer)) visit(step_of(segment.removed_layer(layer)));
    }
    for (const std::int64_t layer : segment.layers()) {
      if (wanted(layer)) visit(step_of(segment.update(layer)));
    }
  }
}

RunUpdates run_updates(const ModelArgument& argument) {
  if (!argument.run) return RunUpdates({});
  const auto journal = io::Journal::open(io::RunDirectory::view(*argument.run).journal());
  if (!argument.batch) return RunUpdates(io::live_segments(journal));
  require_segment(journal, *argument.batch, argument.run->string());
  return RunUpdates(io::live_segments(journal, *argument.batch));
}

OpenedModel open_model(const ModelArgument& argument, Session& session) {
  OpenedModel model = load(argument, session);
  wait_for_all(model.directory, session);
  return model;
}

std::optional<OpenedModel> open_in_first_replica(const ModelArgument& argument, Session& session) {
  std::optional<OpenedModel> model;
  if (session.place().replica == 0) model = load(argument, session);
  wait_for_all(io::ModelDirectory::open(argument.base), session);
  return model;
}

}  // namespace anchorage::launch
