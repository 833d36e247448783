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

std::map<std::int64_t, double> seconds_of_batches(const RunDirectory& run) {
  std::map<std::int64_t, double> seconds;
  if (!std::filesystem::exists(run.metrics())) return seconds;
  const MappedFile file(run.metrics());
  const std::string_view text = text_of(file.bytes());
  std::istringstream whole_lines{std::string(text.substr(0, text.rfind('\n') + 1))};
  const Diagnostic diagnostic{.expected = "JSON with 'batch' and 'seconds'",
                              .found = {},
                              .where = run.metrics().string(),
                              .remedy = "remove the line: the journal has all but the seconds"};
  JsonLines lines(whole_lines, diagnostic);
  while (const auto line = lines.next()) {
    try {
      seconds[line->value.at("batch").get<std::int64_t>()] = line->value.at("seconds").at("total").get<double>();
    } catch (const nlohmann::json::exception& error) {
      Diagnostic at_line = diagnostic;
      at_line.found = error.what();
      at_line.where = line->where;
      throw UserError(at_line);
    }
  }
  return seconds;
}

}  // namespace anchorage::io
