#include "launch/program/model_argument.hpp"

#include <charconv>
#include <utility>

#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/run_directory.hpp"

namespace anchorage::launch {
namespace {

// "DIR@7" -> {"DIR", 7}; keeps an existing path that ends in @digits whole.
std::pair<std::filesystem::path, std::optional<std::int64_t>> split_batch(const std::string& argument) {
  const auto at = argument.rfind('@');
  if (at == std::string::npos || std::filesystem::exists(argument)) return {argument, std::nullopt};
  std::int64_t batch = 0;
  const char* end = argument.data() + argument.size();
  const auto [stop, error] = std::from_chars(argument.data() + at + 1, end, batch);
  if (error != std::errc() || stop != end) return {argument, std::nullopt};
  return {argument.substr(0, at), batch};
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

io::RunUpdates run_updates(const ModelArgument& argument) {
  if (!argument.run) return io::RunUpdates({});
  const auto journal = io::Journal::open(io::RunDirectory::view(*argument.run).journal());
  if (!argument.batch) return io::RunUpdates(io::live_segments(journal));
  io::require_segment(journal, *argument.batch, argument.run->string());
  return io::RunUpdates(io::live_segments(journal, *argument.batch));
}

}  // namespace anchorage::launch
