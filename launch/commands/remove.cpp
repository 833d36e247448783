// `anchorage remove`: removes single edits of a run as if they had never been made, as one segment. Prints what was
// removed. Exit codes: 0; 2 for bad input, and nothing was changed; 1 for any other failure.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "coordinator/batch_report.hpp"
#include "coordinator/named_edit.hpp"
#include "io/date.hpp"
#include "io/error.hpp"
#include "io/hparams/hparams.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/run_directory.hpp"
#include "launch/commands/run_facts.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/finished_statistics.hpp"
#include "launch/program/rebuilt_weights.hpp"
#include "worker/editing/update/layer_solver.hpp"
#include "worker/editing/update/removal.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {
namespace {

struct RemoveOptions {
  std::filesystem::path run;
  std::vector<std::string> edits;
  bool expired = false;
};

// Returns each place once, even where several names mean the same edit.
std::vector<io::RecordedPlace> places_of(const RemoveOptions& options, const io::Journal& journal) {
  const auto recorded = coordinator::recorded_edits(journal);
  std::vector<io::RecordedPlace> places;
  for (const std::string& name : std::set(options.edits.begin(), options.edits.end())) {
    const auto place = coordinator::live_edit(name, recorded, options.run.string());
    if (std::ranges::count(places, place) == 0) places.push_back(place);
  }
  if (!options.expired) return places;
  for (const coordinator::RecordedEdit& edit : coordinator::expired_edits(journal, io::today())) {
    if (std::ranges::count(places, edit.place()) == 0) places.push_back(edit.place());
  }
  return places;
}

// Opens the statistics that the run began with.
io::StatisticsFile statistics_of(const io::RunRecord& record, const io::Hparams& hparams) {
  auto statistics = io::StatisticsFile::load(record.statistics);
  const std::string found = statistics_digest(record.statistics, hparams),
                    &begun = record.fingerprints.at("statistics");
  if (found == begun) return statistics;
  throw io::UserError({.expected = fmt::format("the statistics that the run began with, {:.12}...", begun),
                       .found = fmt::format("{:.12}...", found),
                       .where = record.statistics,
                       .remedy = "put the original back"});
}

// Removes the edits layer by layer, so that only one layer's least squares are in memory at a time.
io::RemovalRecord take_out(const sharding::Removal& request, const io::RunDirectory& run,
                           const io::RunUpdates& updates) {
  const io::RunRecord& record = run.record();
  const auto method = worker::method_named(record.method);
  worker::require_removable(method);
  const auto hparams = io::parse_recorded_hparams(record.hparams, "run.yaml");
  const auto statistics = statistics_of(record, hparams);
  const auto protection = io::protected_keys_of(run.path(), record);
  const auto model = io::ModelDirectory::open(record.model);
  const auto weights = rebuilt_weights(model, updates);
  io::RemovalRecord removal{.edits = request.edits, .layers = {}};
  for (const int layer : hparams.layers) {
    const auto covariance =
        worker::replayed_key_covariance(method, hparams, statistics, layer, request.live, protection);
    const auto terms = worker::removal_terms(request, layer);
    const auto update = worker::removal_update(covariance, terms);
    const auto u = update.u.to(torch::kFloat), v = update.v.to(torch::kFloat);
    const auto& weight = weights.at(layer);
    worker::add_update(weight, u, v);
    removal.layers.push_back(
        {.layer = layer,
         .keys = worker::to_matrix(terms.keys),
         .u = worker::to_matrix(u),
         .v = worker::to_matrix(v),
         .norms = worker::layer_norms(u, v, weight, worker::read_down_projection(model, layer))});
  }
  return removal;
}

int run_remove(const RemoveOptions& options, Session& session) {
  if (!session.is_root()) return done;
  if (options.edits.empty() && !options.expired) {
    throw io::UserError({.expected = "what to remove: --edit or --expired",
                         .found = "neither",
                         .where = "the command line",
                         .remedy = "'anchorage journal history RUN' lists the edits of a run"});
  }
  const auto directory = io::RunDirectory::resume(options.run);
  session.use_threads(static_cast<int>(directory.record().threads));
  auto journal = io::Journal::open(directory.journal(), io::JournalAccess::append);
  sharding::Removal request{.edits = places_of(options, journal), .live = {}};
  if (request.edits.empty()) {
    session.json()
        ? session.print(nlohmann::json{{"run", options.run.string()}, {"removed", nlohmann::json::array()}})
        : session.print(std::string("no live edit has expired\n"));
    return done;
  }
  const auto live = io::live_segments(journal);
  for (const io::JournalEntry& entry : live) request.live.push_back(entry.path.string());

  const std::int64_t number = std::ssize(journal.list());
  const auto provenance = provenance_of(directory.record(), session);
  journal.append(
      coordinator::removal_segment(take_out(request, directory, io::RunUpdates(live)), number, provenance));
  if (session.json()) {
    auto removed = nlohmann::json::array();
    for (const io::RecordedPlace& place : request.edits) removed.push_back(place.id);
    session.print(nlohmann::json{{"run", options.run.string()}, {"segment", number}, {"removed", removed}});
    return done;
  }
  for (const io::RecordedPlace& place : request.edits) {
    session.print(fmt::format("{}: edit {} of batch {} removed, as segment {}\n", options.run.string(), place.id,
                              place.segment, number));
  }
  session.print(
      fmt::format("'anchorage rollback {} --to-batch {}' restores it\n", options.run.string(), number - 1));
  return done;
}

}  // namespace

void add_remove_command(CommandLine& line) {
  auto options = std::make_shared<RemoveOptions>();
  CLI::App* command = line.app.add_subcommand("remove", "Remove single edits, as if they had never been made");
  command->add_option("run", options->run, "the run directory")->required();
  command->add_option("--edit", options->edits,
                      "an edit's id, or ID@BATCH where several are live; may be given several times");
  command->add_flag("--expired", options->expired, "all live edits whose 'expires' has come");
  add_session_options(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_remove(*options, session); }; });
}

}  // namespace anchorage::launch
