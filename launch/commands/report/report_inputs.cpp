#include "launch/commands/report/report_inputs.hpp"

#include <fmt/format.h>

#include <set>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/run/run_directory.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::launch {
namespace {

constexpr auto known_kinds =
    "a run directory, a report of 'anchorage eval --json', or a CSV with the columns method and edits";

struct NamedPath {
  std::string label;
  std::filesystem::path path;
};

// The last part of a path, whatever it is written like: "runs/night/" and "." have one too.
std::filesystem::path last_part(const std::filesystem::path& path) {
  const auto whole = std::filesystem::absolute(path).lexically_normal();
  return whole.has_filename() ? whole.filename() : whole.parent_path().filename();
}

NamedPath named_path(const std::string& input) {
  const auto equals = input.find('=');
  const bool has_label = equals != std::string::npos && equals > 0 && !std::filesystem::exists(input);
  if (has_label) return {input.substr(0, equals), input.substr(equals + 1)};
  const auto name = last_part(input);
  return {std::filesystem::is_directory(input) ? name.string() : name.stem().string(), input};
}

[[noreturn]] void refuse_input(const std::string& found, const std::filesystem::path& path,
                               const std::string& remedy) {
  throw io::UserError({.expected = known_kinds, .found = found, .where = path.string(), .remedy = remedy});
}

void add_file(ReportInputs& inputs, const NamedPath& input) {
  const io::MappedFile file(input.path);
  const std::string_view text = io::text_of(file.bytes());
  const auto first = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == text.npos) refuse_input("an empty file", input.path, "check the path");
  const std::string source = last_part(input.path).string(), where = input.path.string();
  if (text[first] == '{') {
    inputs.evaluations.push_back(read_evaluation(text, input.label, where));
    inputs.evaluations.back().source = source;
    return;
  }
  const std::string_view header = text.substr(first, text.find_first_of("\r\n", first) - first);
  if (header.find(',') == header.npos || text[first] == '[')
    refuse_input("another file", input.path, "check the path, and what the file holds");
  for (Comparison& comparison : read_comparisons(text, input.label, where)) {
    comparison.source = source;
    inputs.comparisons.push_back(std::move(comparison));
  }
}

void add_input(ReportInputs& inputs, const NamedPath& input) {
  if (!std::filesystem::exists(input.path)) refuse_input("nothing", input.path, "check the path");
  if (!std::filesystem::is_directory(input.path)) return add_file(inputs, input);
  if (!io::RunDirectory::is_run(input.path))
    refuse_input("a directory without run.yaml", input.path, "name the run's own directory");
  inputs.runs.push_back(read_run(input.path, input.label));
  inputs.runs.back().source = last_part(input.path).string();
}

// A run and the evaluations of its states may share a name; two of a kind may not.
template <class Inputs>
void require_different_labels(const Inputs& inputs) {
  std::set<std::string> seen;
  for (const auto& input : inputs) {
    if (seen.insert(input.label).second) continue;
    throw io::UserError({.expected = "a name of its own for each input",
                         .found = fmt::format("'{}' twice", input.label),
                         .where = "the inputs of 'report'",
                         .remedy = "name them: LABEL=PATH"});
  }
}

}  // namespace

ReportInputs read_report_inputs(std::span<const std::string> inputs) {
  ReportInputs all;
  for (const std::string& input : inputs) add_input(all, named_path(input));
  require_different_labels(all.runs);
  require_different_labels(all.evaluations);
  require_different_labels(all.comparisons);
  return all;
}

}  // namespace anchorage::launch
