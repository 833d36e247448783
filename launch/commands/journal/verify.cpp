// `anchorage journal verify`: proves a journal. Prints each check that held, and logs those that did not. Exit
// codes: 0 where the journal is sound; 1 where it is not; 2 for bad input.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "coordinator/batch_report.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/run/checkpoint.hpp"
#include "io/run/journal/live_segments.hpp"
#include "io/run/protected_keys.hpp"
#include "io/run/run_directory.hpp"
#include "launch/commands/journal/journal.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/rebuilt_weights.hpp"
#include "worker/matrix_conversion.hpp"
#include "worker/model/load.hpp"

namespace anchorage::launch {
namespace {

// Norms are summed in another order than when the segment was written.
constexpr double norm_tolerance = 1e-5;

// A GPU adds in another order than this machine's CPU.
constexpr double checkpoint_tolerance = 1e-6;

// The findings so far; a check that throws a UserError is a finding.
struct VerifyReport {
  std::vector<std::string> checked;
  std::vector<std::string> wrong;

  template <class Check>
  void add(const Check& check) {
    try {
      checked.push_back(check());
    } catch (const io::UserError& error) {
      wrong.push_back(error.what());
    }
  }
};

[[noreturn]] void refuse(const std::string& expected, const std::string& found, const std::string& where,
                         const std::string& remedy) {
  throw io::UserError({.expected = expected, .found = found, .where = where, .remedy = remedy});
}

std::string read_every_dataset(const io::Journal& journal) {
  std::int64_t edits = 0, bytes = 0;
  for (const io::JournalEntry& entry : journal.list()) {
    edits += std::ssize(io::read_segment(entry.path).edits);
    bytes += static_cast<std::int64_t>(std::filesystem::file_size(entry.path));
  }
  return fmt::format("{} segments with {} edits read in full, {:.1f} MB", journal.list().size(), edits,
                     static_cast<double>(bytes) / 1e6);
}

std::string check_model(const io::BaseRecord& base, const io::ModelDirectory& model) {
  const std::string found = model.fingerprint();
  if (found == base.model) return "the base model is the one that the journal began with";
  refuse(fmt::format("the model that the journal began with, {:.12}...", base.model),
         fmt::format("{:.12}...", found), model.path().string(),
         "put the original back: a journal is nothing without its base");
}

// Checks that the weights that base and segments make are as far from the base as the last segment says.
std::string check_norms(const io::Journal& journal, const io::ModelDirectory& model,
                        const std::map<std::int64_t, torch::Tensor>& weights) {
  for (const auto& [layer, recorded] : coordinator::drift_of(journal)) {
    const auto base = worker::read_down_projection(model, layer);
    const double rebuilt =
        ((weights.at(layer) - base).to(torch::kDouble).norm() / base.to(torch::kDouble).norm()).item<double>();
    if (std::abs(rebuilt - recorded) <= norm_tolerance * recorded) continue;
    refuse(fmt::format("layer {} changed by {:.8f} of its norm, as the last segment says", layer, recorded),
           fmt::format("{:.8f} rebuilt from base and segments", rebuilt), journal.last().path.string(),
           "the segments do not make the weights that were measured: report this with the run directory");
  }
  return fmt::format("the weights of {} layers rebuilt from base and segments, changed as much as recorded",
                     weights.size());
}

// Checks that the newest checkpoint's weights are those that base and segments make.
std::string check_checkpoint(const io::RunDirectory& directory, const io::Journal& journal,
                             const io::ModelDirectory& model) {
  const auto choice = io::newest_checkpoint(directory.checkpoint(), journal, io::edited_layers(journal));
  for (const io::DamagedCheckpoint& damaged : choice.damaged)
    spdlog::warn("the checkpoint {} is of no use, and not needed: {}", damaged.path.string(), damaged.diagnostic);
  if (!choice.segment) return "there is no checkpoint to compare with";
  bool same_bits = true;
  for (const auto& [layer, weight] :
       rebuilt_weights(model, io::RunUpdates(io::live_segments(journal, *choice.segment)))) {
    const auto kept =
        worker::to_tensor(io::read_checkpoint_layer(directory.checkpoint(), *choice.segment, layer).weight);
    same_bits = same_bits && at::equal(kept, weight);
    const double error = ((kept - weight).norm() / weight.norm()).item<double>();
    if (error <= checkpoint_tolerance) continue;
    refuse(fmt::format("the weights of layer {} that base and segments make", layer),
           fmt::format("others, {:.3g} of their norm away", error),
           fmt::format("{}, checkpoint of segment {}", directory.checkpoint().string(), *choice.segment),
           "remove the folder checkpoint: it is a cache, and the journal is sound");
  }
  return fmt::format("the checkpoint of segment {} has these weights, {}", *choice.segment,
                     same_bits ? "bit for bit" : "to rounding");
}

std::string check_protected_keys(const io::ProtectedKeys& keys) {
  for (const std::int64_t layer : keys.layers()) keys.rows(layer, 0, keys.count());
  return fmt::format("the {} protected keys of each layer are those that the run began with", keys.count());
}

}  // namespace

int verify_journal(const JournalOptions& options, Session& session) {
  const auto directory = io::RunDirectory::view(options.run);
  session.use_threads(static_cast<int>(directory.record().threads));
  VerifyReport report;
  std::optional<io::Journal> journal;
  report.add([&] {
    journal = io::Journal::open(directory.journal());
    if (journal->empty()) refuse("segments", "none", directory.journal().string(), "put them back from a copy");
    return fmt::format("the chain of {} segments holds, each as its digest says", journal->list().size());
  });
  if (report.wrong.empty()) {
    report.add([&] { return read_every_dataset(*journal); });
    const auto model = io::ModelDirectory::open(directory.record().model);
    report.add([&] { return check_model(*io::SegmentReader(journal->list().front().path).base(), model); });
    std::map<std::int64_t, torch::Tensor> weights;
    report.add([&] {
      weights = rebuilt_weights(model, io::RunUpdates(io::live_segments(*journal)));
      return check_norms(*journal, model, weights);
    });
    report.add([&] { return check_checkpoint(directory, *journal, model); });
  }

  const auto& record = directory.record();
  if (record.protection)
    report.add([&] { return check_protected_keys(*io::protected_keys_of(directory.path(), record)); });

  const bool sound = report.wrong.empty();
  if (session.json()) {
    session.print(nlohmann::json{{"run", options.run.string()},
                                 {"sound", sound},
                                 {"segments", journal ? std::ssize(journal->list()) : 0},
                                 {"checked", report.checked},
                                 {"wrong", report.wrong}});
  } else {
    std::string text;
    for (const std::string& line : report.checked) text += "ok: " + line + "\n";
    session.print(text + (sound ? "the journal is sound\n" : ""));
    for (const std::string& line : report.wrong) spdlog::error("{}", line);
  }
  return sound ? done : failed;
}

}  // namespace anchorage::launch
