// `anchorage rollback`: takes a run back to the state after an earlier batch, as one segment. Prints the new
// segment and how to undo it. Exit codes: 0; 2 for bad input, and nothing was changed; 1 for any other failure.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/batch_report.hpp"
#include "coordinator/recorded_edits.hpp"
#include "io/error.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/run_directory.hpp"
#include "io/run/run_updates.hpp"
#include "launch/commands/run_facts.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

struct RollbackOptions {
  std::filesystem::path run;
  std::int64_t to = 0;
};

int run_rollback(const RollbackOptions& options, Session& session) {
  if (!session.is_root()) return done;
  const auto directory = io::RunDirectory::resume(options.run);
  auto journal = io::Journal::open(directory.journal(), io::JournalAccess::append, directory.journal_index());
  io::require_segment(journal, options.to, options.run.string());
  const std::int64_t before = std::ssize(journal.list()) - 1;
  if (io::last_live_segment(journal, options.to) == io::last_live_segment(journal, before)) {
    throw io::UserError({.expected = "a batch whose state is another than the run's",
                         .found = fmt::format("batch {}, which is the run's state already", options.to),
                         .where = options.run.string(),
                         .remedy = "'anchorage journal list' shows what is live"});
  }
  const auto provenance = provenance_of(directory.record(), session);
  journal.append(coordinator::rollback_segment(options.to, before + 1, provenance));

  const auto edits = coordinator::recorded_edits(journal);
  const auto live = std::ranges::count_if(edits, &coordinator::RecordedEdit::is_live);
  if (session.json()) {
    session.print(nlohmann::json{{"run", options.run.string()},
                                 {"segment", before + 1},
                                 {"to_batch", options.to},
                                 {"edits", {{"committed", live}}}});
    return done;
  }
  session.print(fmt::format(
      "{}: back at batch {} with {} edits, as segment {}; 'anchorage rollback {} --to-batch {}' undoes this\n",
      options.run.string(), options.to, live, before + 1, options.run.string(), before));
  return done;
}

}  // namespace

void add_rollback_command(CommandLine& line) {
  auto options = std::make_shared<RollbackOptions>();
  CLI::App* command = line.app.add_subcommand("rollback", "Roll a run back to the state after an earlier batch");
  command->add_option("run", options->run, "the run directory")->required();
  command->add_option("--to-batch", options->to, "the batch (or other segment) to go back to; 0 is the base model")
      ->required();
  add_session_options(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_rollback(*options, session); }; });
}

}  // namespace anchorage::launch
