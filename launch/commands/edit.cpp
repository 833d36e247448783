// `anchorage edit`: writes edits into a model, batch by batch, into a run directory. Prints what was committed, one
// JSON document with --json; exit codes 0, 2 and 1 as everywhere, 3 where edits were set aside, 75 where a signal
// stopped it after a commit.
#include "launch/commands/edit_job.hpp"
#include "launch/commands/edit_options.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/number_checks.hpp"

namespace anchorage::launch {

void add_edit_command(CommandLine& line) {
  auto options = std::make_shared<EditOptions>();
  CLI::App* command =
      line.app.add_subcommand("edit", "Write edits into a model, batch by batch, into a run directory");
  auto* model = command->add_option("model", options->model, "MODEL; needed for a new run, not with --resume");
  command->add_option("--edits", options->edits,
                      "files of edits, separated by commas, in any of the known formats; needed for a new run");
  command->add_option("--run", options->run, "the run directory: created, or with --resume continued")->required();
  add_run_options(*command, *options);
  command->add_option("--limit", options->limit, "take only the first N edits")
      ->check(whole_number(1))
      ->default_str("all");
  command->add_flag("--resume", options->resume, "continue after the last committed batch")->excludes(model);
  command->add_option("--listen", options->listen,
                      "an address and a port, as 127.0.0.1:8470, at which the run can be watched while it lasts");
  add_token_file_option(*command, *options);
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_edits(*options, session); }; });
}

}  // namespace anchorage::launch
