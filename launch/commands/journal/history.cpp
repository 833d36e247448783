// `anchorage journal history` and `diff`: what became of facts over a run's batches, and what lies between two
// states. One JSON document with --json. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "coordinator/recorded_edits.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/recorded_run.hpp"
#include "io/run/run_updates.hpp"
#include "launch/commands/journal/edit_status.hpp"
#include "launch/commands/journal/journal.hpp"
#include "launch/program/command_line.hpp"

namespace anchorage::launch {
namespace {

using coordinator::RecordedEdit;

// An edit with all that its request says, and how the model took it.
struct Told {
  const RecordedEdit* recorded;  // borrowed
  io::Edit edit;
  double nll_before, nll_after;
};

// Returns these edits in their order.
std::vector<Told> told(const io::Journal& journal, const std::vector<const RecordedEdit*>& edits) {
  std::vector<Told> all;
  coordinator::for_records(journal, edits, [&](const RecordedEdit& edit, const io::EditRecord& row) {
    const auto& path = journal.list()[static_cast<std::size_t>(edit.batch)].path;
    all.push_back({&edit, io::edit_from_json(row.request, path.string()), row.nll_before, row.nll_after});
  });
  return all;
}

bool matches(const io::Edit& edit, const HistoryFilter& filter) {
  const auto is = [](const std::string& wanted, const std::string& found) {
    return wanted.empty() || wanted == found;
  };
  return is(filter.source, edit.source) && is(filter.author, edit.author) &&
         is(filter.approved_by, edit.approved_by) && (!filter.expired_on || edit.has_expired(*filter.expired_on));
}

nlohmann::json told_document(const Told& one, const io::Journal& journal) {
  const io::Edit& edit = one.edit;
  nlohmann::json document{{"id", edit.id},
                          {"batch", one.recorded->batch},
                          {"utc", journal.list()[static_cast<std::size_t>(one.recorded->batch)].header.utc},
                          {"now", status_of(*one.recorded)},
                          {"subject", edit.subject},
                          {"prompt", edit.prompt},
                          {"target", edit.target},
                          {"nll", {{"before", one.nll_before}, {"after", one.nll_after}}}};
  const std::pair<const char*, const std::string*> provenance[] = {{"source", &edit.source},
                                                                   {"as_of", &edit.as_of},
                                                                   {"author", &edit.author},
                                                                   {"approved_by", &edit.approved_by},
                                                                   {"expires", &edit.expires}};
  for (const auto& [name, text] : provenance) {
    if (!text->empty()) document[name] = *text;
  }
  if (!one.recorded->reason.empty()) document["reason"] = one.recorded->reason;
  return document;
}

std::string line_of(const nlohmann::json& edit) {
  std::string text =
      fmt::format("{:>6}  {:<21} {:<24} {:<18} {} -> {}", edit["batch"].get<std::int64_t>(),
                  edit["utc"].get<std::string>(), edit["id"].get<std::string>(), edit["now"].get<std::string>(),
                  edit["prompt"].get<std::string>(), edit["target"].get<std::string>());
  const double before = edit["nll"]["before"], after = edit["nll"]["after"];
  if (std::isfinite(before) && std::isfinite(after)) text += fmt::format("  nll {:.3f} -> {:.3f}", before, after);
  for (const char* name : {"source", "as_of", "author", "approved_by", "expires", "reason"}) {
    if (edit.contains(name)) text += fmt::format("; {} {}", name, edit[name].get<std::string>());
  }
  return text + '\n';
}

using Fact = std::tuple<std::string, std::string, std::string>;  // subject, prompt, target

// Returns the live facts of the state after a segment.
std::map<Fact, const RecordedEdit*> facts_of(const std::vector<RecordedEdit>& recorded) {
  std::map<Fact, const RecordedEdit*> facts;
  for (const RecordedEdit& edit : recorded) {
    if (edit.is_live()) facts[{edit.edit.subject, edit.edit.prompt, edit.edit.target}] = &edit;
  }
  return facts;
}

// Returns those of one state that the other has not, in the order of the journal.
std::vector<const RecordedEdit*> only_in(const std::map<Fact, const RecordedEdit*>& facts,
                                         const std::map<Fact, const RecordedEdit*>& others) {
  std::vector<const RecordedEdit*> only;
  for (const auto& [fact, edit] : facts) {
    if (!others.contains(fact)) only.push_back(edit);
  }
  std::ranges::sort(only, {}, [](const RecordedEdit* edit) { return std::pair(edit->batch, edit->row); });
  return only;
}

// Returns how far each edited layer has moved from the base, as a share of its norm, after a segment.
std::map<std::int64_t, double> drifts_after(const io::Journal& journal, std::int64_t number) {
  std::map<std::int64_t, double> drifts;
  const std::int64_t last = io::last_live_segment(journal, number);
  if (last == 0) return drifts;
  const io::SegmentReader segment(journal.list()[static_cast<std::size_t>(last)].path);
  for (const io::RemovedLayer& layer : segment.removal().layers) drifts[layer.layer] = layer.norms.drift();
  const auto layers = segment.layers();
  const auto norms = segment.norms();
  for (std::size_t i = 0; i < layers.size(); ++i) drifts[layers[i]] = norms[i].drift();
  return drifts;
}

nlohmann::json documents_of(const std::vector<const RecordedEdit*>& edits, const io::Journal& journal) {
  auto documents = nlohmann::json::array();
  for (const Told& one : told(journal, edits)) documents.push_back(told_document(one, journal));
  return documents;
}

}  // namespace

int show_history(const JournalOptions& options, Session& session) {
  const auto journal = io::journal_of(io::RunDirectory::view(options.run));
  const auto recorded = coordinator::recorded_edits(journal);
  std::vector<const RecordedEdit*> asked;
  for (const RecordedEdit& edit : recorded) {
    const bool is_named = options.filter.id.empty() || options.filter.id == edit.edit.id;
    if (is_named && (options.filter.subject.empty() || options.filter.subject == edit.edit.subject) &&
        (!options.filter.expired_on || edit.is_live()))
      asked.push_back(&edit);
  }
  auto edits = nlohmann::json::array();
  std::string text;
  for (const Told& one : told(journal, asked)) {
    if (!matches(one.edit, options.filter)) continue;
    edits.push_back(told_document(one, journal));
    text += line_of(edits.back());
  }
  if (session.json()) {
    session.print(nlohmann::json{{"run", options.run.string()}, {"edits", edits}});
  } else {
    session.print(edits.empty() ? std::string("no edit that is asked for\n") : text);
  }
  return done;
}

int show_difference(const JournalOptions& options, Session& session) {
  const auto journal = io::journal_of(io::RunDirectory::view(options.run));
  const std::int64_t from = options.states.at(0), to = options.states.at(1);
  for (const std::int64_t state : {from, to}) io::require_segment(journal, state, options.run.string());
  const auto earlier = coordinator::recorded_edits(journal, from), later = coordinator::recorded_edits(journal, to);
  const auto before = facts_of(earlier), after = facts_of(later);
  auto added = only_in(after, before), removed = only_in(before, after);
  auto replaced = nlohmann::json::array();
  for (const RecordedEdit*& edit : removed) {
    const auto other = std::ranges::find_if(
        added, [&](const RecordedEdit* one) { return one != nullptr && one->edit.asks_the_same_as(edit->edit); });
    if (other == added.end()) continue;
    replaced.push_back(
        {{"before", documents_of({edit}, journal).front()}, {"after", documents_of({*other}, journal).front()}});
    *other = edit = nullptr;
  }
  std::erase(added, nullptr);
  std::erase(removed, nullptr);
  const auto drift_before = drifts_after(journal, from), drift_after = drifts_after(journal, to);
  std::map<std::int64_t, std::pair<double, double>> drifts;
  for (const auto& [layer, drift] : drift_before) drifts[layer].first = drift;
  for (const auto& [layer, drift] : drift_after) drifts[layer].second = drift;
  auto layers = nlohmann::json::array();
  for (const auto& [layer, drift] : drifts)
    layers.push_back({{"layer", layer}, {"drift", {{"before", drift.first}, {"after", drift.second}}}});
  const nlohmann::json document{{"run", options.run.string()},
                                {"from", from},
                                {"to", to},
                                {"added", documents_of(added, journal)},
                                {"removed", documents_of(removed, journal)},
                                {"replaced", replaced},
                                {"layers", layers}};
  if (session.json()) {
    session.print(document);
    return done;
  }
  std::string text = fmt::format("from batch {} to batch {}: {} added, {} replaced, {} removed\n", from, to,
                                 added.size(), replaced.size(), removed.size());
  for (const auto& edit : document["added"]) text += "added   " + line_of(edit);
  for (const auto& pair : replaced) {
    text += "before  " + line_of(pair["before"]);
    text += "after   " + line_of(pair["after"]);
  }
  for (const auto& edit : document["removed"]) text += "removed " + line_of(edit);
  for (const auto& [layer, drift] : drifts)
    text += fmt::format("layer {:<3} all changes {:.4f} -> {:.4f} of the base weight's norm\n", layer, drift.first,
                        drift.second);
  session.print(text);
  return done;
}

}  // namespace anchorage::launch
