// `anchorage report`: writes what runs, evaluations and comparisons say into one HTML file. Prints what it read,
// one JSON document with --json. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <report_assets.hpp>  // generated

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "launch/commands/report/page.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

struct ReportOptions {
  std::vector<std::string> inputs;
  std::filesystem::path out;
};

void require_new_file(const std::filesystem::path& out) {
  const auto folder = std::filesystem::absolute(out).parent_path();
  if (!exists(out) && is_directory(folder)) return;
  throw io::UserError({.expected = "the name of a new file in a directory that is there",
                       .found = exists(out) ? "one that is there" : "no directory " + folder.string(),
                       .where = out.string(),
                       .remedy = "name another one with --out"});
}

int run_report(const ReportOptions& options, Session& session) {
  if (!session.is_root()) return done;
  require_new_file(options.out);
  const ReportInputs inputs = read_report_inputs(options.inputs);
  const std::string page = report_page(inputs, {.style = report_style, .script = report_script});
  io::write_file_atomically(options.out, page);
  if (session.json()) {
    session.print(nlohmann::json{{"out", options.out.string()},
                                 {"bytes", page.size()},
                                 {"runs", inputs.runs.size()},
                                 {"evaluations", inputs.evaluations.size()},
                                 {"comparisons", inputs.comparisons.size()}});
  } else {
    session.print(fmt::format("{} runs, {} evaluations and {} comparisons in {}, {:.0f} kB\n", inputs.runs.size(),
                              inputs.evaluations.size(), inputs.comparisons.size(), options.out.string(),
                              static_cast<double>(page.size()) / 1e3));
  }
  return done;
}

}  // namespace

void add_report_command(CommandLine& line) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App* command = line.app.add_subcommand(
      "report", "One HTML file of what runs, evaluations and comparisons say, for people who decide");
  command
      ->add_option(
          "inputs", options->inputs,
          "[LABEL=]PATH: run directories, reports of 'eval --json' (LABEL@N: the state after N edits), CSVs of "
          "states by method")
      ->required();
  command->add_option("--out", options->out, "the file to write; it must not be there")->required();
  add_session_options(*command, line.session);
  command->callback([&line, options] {
    line.session.computes = false;
    line.action = [options](Session& session) { return run_report(*options, session); };
  });
}

}  // namespace anchorage::launch
