// `anchorage serve`: holds a model loaded, waits for edits over HTTP, and writes them into a run directory, which
// it creates or resumes (docs/service.md). Prints what was committed, as `edit` does. Exit codes: 0 when it was
// told to stop; 75 where a signal stopped it; 2 for bad input; 1 for any other failure. The same command resumes.
#include "launch/commands/edit_job.hpp"
#include "launch/commands/edit_options.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/number_checks.hpp"

namespace anchorage::launch {

void add_serve_command(CommandLine& line) {
  auto options = std::make_shared<EditOptions>();
  options->serves = true;
  options->listen = "127.0.0.1:8470";
  CLI::App* command = line.app.add_subcommand("serve", "Wait for edits over HTTP and write them, batch by batch");
  command->add_option("model", options->model, "MODEL; needed for a new run");
  command->add_option("--edits", options->edits,
                      "files of edits to begin with, separated by commas, in any of the known formats");
  command->add_option("--run", options->run, "the run directory: created, or continued where it is one")
      ->required();
  add_run_options(*command, *options);
  command->add_option("--listen", options->listen, "the address and the port to listen on");
  add_token_file_option(*command, *options);
  command->add_option("--linger", options->linger, "seconds that an edit waits for others before its batch begins")
      ->check(number_above_zero());
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_edits(*options, session); }; });
}

}  // namespace anchorage::launch
