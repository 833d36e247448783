// `anchorage view`: writes the page of a run, as a service shows it, into one file that needs no network. Exit
// codes: 0; 2 for bad input, and nothing was written; 1 for any other failure.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/json_text.hpp"
#include "coordinator/service/texts.hpp"
#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/run/inbox.hpp"
#include "io/run/recorded_run.hpp"
#include "launch/commands/run_facts.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

struct ViewOptions {
  std::filesystem::path run, out;
};

// The last job of the run, and its ranks.
struct LastJob {
  std::string since;  // UTC
  nlohmann::ordered_json ranks;
};

LastJob last_job_of(std::istream& file, const std::filesystem::path& path) {
  const auto document = nlohmann::ordered_json::parse(file, nullptr, false);
  const auto is_object = [](const auto& one) { return one.is_object(); };
  if (document.is_object() && document.contains("since") && document["since"].is_string() &&
      document.contains("ranks") && document["ranks"].is_array() &&
      std::ranges::all_of(document["ranks"], is_object))
    return {.since = document["since"], .ranks = document["ranks"]};
  throw io::UserError({.expected = "JSON with 'since' and a list of 'ranks'",
                       .found = "something else",
                       .where = path.string(),
                       .remedy = "remove the file: the page is made without"});
}

int run_view(const ViewOptions& options, Session& session) {
  if (!session.is_root()) return done;
  const auto directory = io::RunDirectory::view(options.run);
  const io::RunRecord& record = directory.record();
  coordinator::RunState state(
      facts_of(options.run, record, io::parse_recorded_hparams(record.hparams, options.run / "run.yaml")));
  const auto journal = io::journal_of(directory);
  const auto metrics = io::metrics_of_batches(directory);
  state.open(journal, metrics, coordinator::batches_kept);
  if (std::ifstream file(directory.ranks()); file) {
    const LastJob job = last_job_of(file, directory.ranks());
    state.facts.ranks = job.ranks;
    for (const auto& [batch, of_batch] : metrics) {
      if (of_batch.utc >= job.since) state.add_loads(of_batch.ranks);
    }
  }
  for (const io::Edit& edit : io::Inbox(io::inbox_of(options.run)).edits()) {
    const bool waits = record.require_approval && !edit.is_approved();
    if (state.ledger.find(edit.id) != nullptr) continue;
    state.ledger.put(edit, waits ? coordinator::EditStage::proposed : coordinator::EditStage::accepted);
  }
  state.stage = coordinator::RunStage::finished;
  if (!journal.empty()) state.since = journal.last().header.utc;
  nlohmann::ordered_json document{{"run", state.document()}};
  document["batches"] = state.batches_after(0, static_cast<std::size_t>(coordinator::batches_kept))["batches"];
  io::write_file_atomically(options.out, coordinator::page_text(coordinator::text_of(document)));
  const auto batches = document["batches"].size();
  session.json() ? session.print(nlohmann::json{{"out", options.out.string()}, {"batches", batches}})
                 : session.print(fmt::format("{}: {} batches\n", options.out.string(), batches));
  return done;
}

}  // namespace

void add_view_command(CommandLine& line) {
  auto options = std::make_shared<ViewOptions>();
  CLI::App* command = line.app.add_subcommand("view", "Write the page of a run, as 'serve' shows it, into a file");
  command->add_option("run", options->run, "the run directory; it may be in use")->required();
  command->add_option("--out", options->out, "the HTML file to write")->required();
  add_session_options(*command, line.session);
  command->callback([&line, options] {
    line.session.computes = false;
    line.action = [options](Session& session) { return run_view(*options, session); };
  });
}

}  // namespace anchorage::launch
