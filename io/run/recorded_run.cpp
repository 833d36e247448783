#include "io/run/recorded_run.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/json_lines.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {

Journal journal_of(const RunDirectory& run) {
  return Journal::open(run.journal(), JournalAccess::read, run.journal_index());
}

std::map<std::int64_t, BatchMetrics> metrics_of_batches(const RunDirectory& run) {
  std::map<std::int64_t, BatchMetrics> metrics;
  if (!std::filesystem::exists(run.metrics())) return metrics;
  const MappedFile file(run.metrics());
  const std::string_view text = text_of(file.bytes());
  std::istringstream whole_lines{std::string(text.substr(0, text.rfind('\n') + 1))};
  const Diagnostic diagnostic{.expected = "JSON with 'batch' and 'seconds'",
                              .found = {},
                              .where = run.metrics().string(),
                              .remedy = "remove the line: the journal has all but seconds and memory"};
  JsonLines lines(whole_lines, diagnostic);
  while (const auto line = lines.next()) {
    try {
      BatchMetrics& batch = metrics[line->value.at("batch").get<std::int64_t>()];
      batch = {.utc = line->value.value("utc", ""), .seconds = line->value.at("seconds").at("total").get<double>()};
      for (const auto& rank : line->value.value("ranks", nlohmann::json::array()))
        batch.ranks.push_back({.waits = rank.at("wait_seconds"), .memory = rank.at("memory_bytes")});
    } catch (const nlohmann::json::exception& error) {
      Diagnostic at_line = diagnostic;
      at_line.found = error.what();
      at_line.where = line->where;
      throw UserError(at_line);
    }
  }
  return metrics;
}

}  // namespace anchorage::io
