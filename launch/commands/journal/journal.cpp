// `anchorage journal list` and `show`: print what was done in a run, a line per segment or one segment in full, as
// one JSON document with --json. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include "launch/commands/journal/journal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "io/date.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/recorded_run.hpp"
#include "io/run/run_updates.hpp"
#include "launch/commands/journal/edit_status.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

// Returns the statuses of the edits, by row, for each segment that is live at the journal's end.
std::map<std::int64_t, std::vector<std::string>> statuses_in(const io::Journal& journal) {
  std::map<std::int64_t, std::vector<std::string>> statuses;
  for (const io::JournalEntry& entry : io::live_segments(journal)) statuses[entry.header.batch];
  for (const auto& edit : coordinator::recorded_edits(journal)) statuses[edit.batch].push_back(status_of(edit));
  return statuses;
}

nlohmann::json entry_of(const io::Journal& journal, const io::JournalEntry& entry,
                        const std::vector<std::string>* statuses) {
  const io::SegmentSummary segment = journal.summary(entry.header.batch);
  auto edits = nlohmann::json::array();
  std::size_t row = 0;
  for (const io::EditSummary& edit : segment.edits) {
    nlohmann::json one = {{"id", edit.edit.id},
                          {"state", io::name_of(edit.state)},
                          {"now", statuses == nullptr ? "rolled back" : statuses->at(row)}};
    if (!edit.reason.empty()) one["reason"] = edit.reason;
    edits.push_back(std::move(one));
    ++row;
  }
  auto removed = nlohmann::json::array();
  for (const io::RecordedPlace& place : segment.removed) {
    removed.push_back({{"id", place.id}, {"batch", place.segment}});
    if (entry.header.kind == io::SegmentKind::removal) edits.push_back({{"id", place.id}, {"state", "removed"}});
  }
  nlohmann::json document = {{"batch", entry.header.batch},
                             {"kind", io::name_of(entry.header.kind)},
                             {"utc", entry.header.utc},
                             {"live", statuses != nullptr},
                             {"edits", edits}};
  if (!removed.empty()) document["removed"] = removed;
  if (entry.header.rollback_to) document["to_batch"] = *entry.header.rollback_to;
  return document;
}

// Says what a segment did: "5 edits, 1 set aside, takes the place of a7 of batch 2".
std::string what_it_did(const nlohmann::json& entry) {
  if (entry.contains("to_batch")) return fmt::format("back to batch {}", entry["to_batch"].get<std::int64_t>());
  std::vector<std::string> removed;
  if (entry.contains("removed")) {
    for (const auto& place : entry["removed"])
      removed.push_back(
          fmt::format("{} of batch {}", place["id"].get<std::string>(), place["batch"].get<std::int64_t>()));
  }
  if (entry["kind"] == "removal") return fmt::format("removed {}", fmt::join(removed, ", "));
  std::map<std::string, int> counts;
  for (const auto& edit : entry["edits"]) ++counts[edit["now"].get<std::string>()];
  std::string text = fmt::format("{} edits", entry["edits"].size());
  for (const auto& [status, count] : counts) {
    if (status != "live" && status != "rolled back") text += fmt::format(", {} {}", count, status);
  }
  if (!removed.empty()) text += fmt::format("; takes the place of {}", fmt::join(removed, ", "));
  return text;
}

// A segment has a match for every edit; where the likelihood was not measured, the match was not either.
nlohmann::json measured_match(bool match, double nll) {
  return std::isnan(nll) ? nlohmann::json() : nlohmann::json(match);
}

void add_segment_measures(nlohmann::json& document, const io::SegmentReader& segment) {
  std::size_t row = 0;
  for (const io::EditRecord& edit : segment.edits()) {
    auto& one = document["edits"][row++];
    one["request"] = nlohmann::json::parse(edit.request, nullptr, false);
    one["nll"] = {{"before", edit.nll_before}, {"after", edit.nll_after}};
    one["match"] = {{"before", measured_match(edit.match_before, edit.nll_before)},
                    {"after", measured_match(edit.match_after, edit.nll_after)}};
  }
  auto layers = nlohmann::json::array();
  const auto add = [&](std::int64_t layer, const char* what, const io::LayerNorms& norms) {
    layers.push_back({{"layer", layer},
                      {"what", what},
                      {"norms", {{"update", norms.update}, {"total", norms.total}, {"base", norms.base}}}});
  };
  for (const io::RemovedLayer& layer : segment.removal().layers) add(layer.layer, "removal", layer.norms);
  const auto numbers = segment.layers();
  const auto norms = segment.norms();
  for (std::size_t i = 0; i < numbers.size(); ++i) add(numbers[i], "batch", norms[i]);
  document["layers"] = layers;
  const io::GuardRecord guard = segment.guard();
  auto probes = nlohmann::json::array();
  for (const io::ProbeRecord& probe : guard.probes)
    probes.push_back({{"name", probe.name}, {"before", probe.before}, {"after", probe.after}});
  document["guard"] = {{"decision", guard.decision}, {"probes", probes}};
}

std::string segment_text(const nlohmann::json& segment) {
  std::string text = fmt::format(
      "batch {} ({}), {}, version {}, {} ranks{}: {}\n", segment["batch"].get<std::int64_t>(),
      segment["kind"].get<std::string>(), segment["utc"].get<std::string>(), segment["version"].get<std::string>(),
      segment["world"].get<std::int64_t>(), segment["live"] == true ? "" : ", rolled back", what_it_did(segment));
  for (const auto& edit : segment["edits"]) {
    text += fmt::format("  {:<24} {:<16}", edit["id"].get<std::string>(),
                        edit.value("now", edit["state"].get<std::string>()));
    if (edit.contains("nll") && std::isfinite(edit["nll"]["after"].get<double>())) {
      text += fmt::format(" nll {:7.3f} -> {:7.3f}", edit["nll"]["before"].get<double>(),
                          edit["nll"]["after"].get<double>());
    }
    if (edit.contains("request") && edit["request"].is_object()) {
      text += fmt::format("  {} -> {}", edit["request"].value("prompt", ""), edit["request"].value("target", ""));
    }
    if (edit.contains("reason")) text += fmt::format("  ({})", edit["reason"].get<std::string>());
    text += '\n';
  }
  for (const auto& layer : segment["layers"]) {
    const double base = layer["norms"]["base"];
    text += fmt::format("  layer {:<3} {:<8} norm {:.4f}, all changes {:.4f} of the base weight's norm\n",
                        layer["layer"].get<std::int64_t>(), layer["what"].get<std::string>(),
                        layer["norms"]["update"].get<double>(), layer["norms"]["total"].get<double>() / base);
  }
  for (const auto& probe : segment["guard"]["probes"]) {
    text += fmt::format(
        "  guard: {} {} -> {:.4f}\n", probe["name"].get<std::string>(),
        std::isfinite(probe["before"].get<double>()) ? fmt::format("{:.4f}", probe["before"].get<double>()) : "-",
        probe["after"].get<double>());
  }
  if (const std::string decision = segment["guard"]["decision"]; !decision.empty())
    text += fmt::format("  guard: {}\n", decision);
  return text;
}

}  // namespace

int list_journal(const JournalOptions& options, Session& session) {
  const auto journal = io::journal_of(io::RunDirectory::view(options.run));
  const auto statuses = statuses_in(journal);
  nlohmann::json document = {{"run", options.run.string()}, {"batches", nlohmann::json::array()}};
  std::string text = fmt::format("{:>6}  {:<9} {:<21} {:<7} {}\n", "batch", "kind", "utc", "live", "what");
  for (const io::JournalEntry& entry : journal.list()) {
    if (entry.header.kind == io::SegmentKind::base) {
      document["base"] = {{"batch", 0}, {"utc", entry.header.utc}};
      continue;
    }
    const auto found = statuses.find(entry.header.batch);
    const auto one = entry_of(journal, entry, found == statuses.end() ? nullptr : &found->second);
    const bool counts = one["live"] == true || entry.header.rollback_to.has_value();
    text += fmt::format("{:>6}  {:<9} {:<21} {:<7} {}\n", entry.header.batch, io::name_of(entry.header.kind),
                        entry.header.utc, counts ? "yes" : "no", what_it_did(one));
    document["batches"].push_back(one);
  }
  session.json() ? session.print(document) : session.print(text);
  return done;
}

int show_segment(const JournalOptions& options, Session& session) {
  auto journal = io::journal_of(io::RunDirectory::view(options.run));
  const std::int64_t number = options.batch.value_or(std::ssize(journal.list()) - 1);
  io::require_segment(journal, number, options.run.string());
  journal.require_sound(number);
  const io::JournalEntry& entry = journal.list()[static_cast<std::size_t>(number)];
  const auto statuses = statuses_in(journal);
  const auto found = statuses.find(number);
  nlohmann::json document = entry_of(journal, entry, found == statuses.end() ? nullptr : &found->second);
  document["version"] = entry.header.version;
  document["world"] = entry.header.world;
  document["seed"] = entry.header.seed;
  document["digest"] = entry.digest;
  document["previous"] = entry.header.previous;
  add_segment_measures(document, io::SegmentReader(entry.path));
  session.json() ? session.print(document) : session.print(segment_text(document));
  return done;
}

void add_journal_command(CommandLine& line) {
  auto options = std::make_shared<JournalOptions>();
  CLI::App* journal = line.app.add_subcommand("journal", "What was done in a run, batch by batch and edit by edit");
  journal->require_subcommand(1);
  const auto add = [&](const char* name, const char* description, auto action) {
    CLI::App* command = journal->add_subcommand(name, description);
    command->add_option("run", options->run, "the run directory")->required();
    add_session_options(*command, line.session);
    command->callback([&line, options, action] {
      line.action = [options, action](Session& session) {
        return session.is_root() ? action(*options, session) : static_cast<int>(done);
      };
    });
    return command;
  };
  add("list", "List every batch, removal and rollback, and which of them are live", list_journal);
  add("show", "Show one of them in full", show_segment)
      ->add_option("--batch", options->batch, "its number; the last one where not given");
  add("verify", "Verify the chain, every dataset, and the weights that the journal makes", verify_journal);
  add("anchors", "Show which anchors each layer kept, entered and left", show_anchors)
      ->add_option("--svg", options->picture, "draw them into this file");
  CLI::App* history = add("history", "What became of facts, batch by batch, with their provenance", show_history);
  HistoryFilter& filter = options->filter;
  history->add_option("--subject", filter.subject, "only edits of this subject");
  history->add_option("--edit", filter.id, "only those of this id");
  history->add_option("--source", filter.source, "only those from this source");
  history->add_option("--author", filter.author, "only those that this author gave");
  history->add_option("--approved-by", filter.approved_by, "only those that this one approved");
  history->add_flag_callback(
      "--expired", [options] { options->filter.expired_on = io::today(); },
      "only live ones whose 'expires' has come: 'anchorage remove --expired' removes them");
  add("diff", "Which facts lie between the states after two batches: added, replaced, removed", show_difference)
      ->add_option("batches", options->states, "their numbers, the earlier one first; 0 is the unedited model")
      ->expected(2)
      ->required();
}

}  // namespace anchorage::launch
