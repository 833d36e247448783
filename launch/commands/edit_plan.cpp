#include "launch/commands/edit_plan.hpp"

#include <fmt/ranges.h>
#include <torch/version.h>

#include <algorithm>
#include <map>

#include "io/edits/edit_ids.hpp"
#include "io/error.hpp"
#include "io/log.hpp"
#include "io/run/inbox.hpp"
#include "io/statistics/statistics_file.hpp"
#include "launch/commands/requested_hparams.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/fingerprints.hpp"
#include "launch/program/finished_statistics.hpp"

namespace anchorage::launch {
namespace {

std::string absolute_path(const std::filesystem::path& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

std::vector<std::string> absolute_paths(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  for (const std::string& path : paths) all.push_back(absolute_path(path));
  return all;
}

// Returns the digests of model, tokenizer and statistics; the statistics must belong to this model and
// tokenizer and have the edited layers, and those of subjects where the hyper-parameters give them a share.
std::map<std::string, std::string> checked_fingerprints(const std::filesystem::path& path,
                                                        const io::Hparams& hparams, const io::ModelDirectory& model,
                                                        Session& session) {
  const auto statistics = io::StatisticsFile::load(path);
  const auto fingerprint = fingerprint_of(model, session.host());
  statistics.check_fingerprint(fingerprint);
  const auto layers = statistics.layers();
  for (const int layer : hparams.layers) {
    if (std::ranges::count(layers, layer) > 0) continue;
    throw io::UserError({.expected = fmt::format("statistics of layer {}", layer),
                         .found = fmt::format("those of layers {}", fmt::join(layers, ", ")),
                         .where = path.string(),
                         .remedy = "collect them with 'anchorage stats --layers'"});
  }
  return {{"model", fingerprint.model},
          {"tokenizer", fingerprint.tokenizer},
          {"statistics", statistics_digest(path, hparams)}};
}

// Leaves out edits that the run is not to have any more.
void drop_withdrawn(io::EditsFile& file, const io::Inbox& inbox) {
  if (inbox.withdrawn().empty()) return;
  io::EditsFile kept{.format = file.format, .edits = {}, .rejected = file.rejected, .remarks = file.remarks};
  for (std::size_t i = 0; i < file.edits.size(); ++i) {
    if (inbox.withdrawn().contains(file.edits[i].id)) continue;
    kept.edits.push_back(std::move(file.edits[i]));
    kept.places.push_back(std::move(file.places[i]));
  }
  file = std::move(kept);
}

io::EditsFile all_of_files(const io::RunRecord& record) {
  io::EditsFile all{};
  for (const std::string& path : record.edits) {
    io::EditsFile file = io::read_edits(path, io::format_named(record.format));
    all.format = file.format;
    all.edits.insert(all.edits.end(), file.edits.begin(), file.edits.end());
    all.rejected.insert(all.rejected.end(), file.rejected.begin(), file.rejected.end());
    all.places.insert(all.places.end(), file.places.begin(), file.places.end());
    all.remarks.insert(all.remarks.end(), file.remarks.begin(), file.remarks.end());
  }
  return all;
}

void require_usable(const io::EditsFile& file, bool strict) {
  if (!strict || file.rejected.empty()) return;
  throw io::UserError(
      {.expected = "only records that can be used (--strict)",
       .found = fmt::format("{} that cannot; the first: {}", file.rejected.size(), file.rejected.front().reason),
       .where = file.rejected.front().where,
       .remedy = "fix them, or leave out --strict to set them aside"});
}

}  // namespace

coordinator::RunPlan plan_edit(const EditOptions& options, const io::ModelDirectory& model, Session& session) {
  const worker::Method method = worker::method_named(options.method);
  if (options.edits.empty() && !options.serves) {
    throw io::UserError(
        {.expected = "a file of edits", .found = "none", .where = "--edits", .remedy = "docs/edits.md shows one"});
  }
  if (options.statistics.empty()) {
    throw io::UserError({.expected = "a file of key statistics",
                         .found = "none",
                         .where = "--stats",
                         .remedy = "make one with 'anchorage stats'"});
  }
  const io::Hparams hparams =
      requested_hparams(options.hparams, options.assignments, method, model.config(), session);
  if (options.protect.empty() && hparams.protect_weight != io::Hparams{}.protect_weight && session.is_root())
    spdlog::warn("protect_weight has no effect here: it is for --protect");
  return {.record = {.model = absolute_path(model.path()),
                     .edits = absolute_paths(options.edits),
                     .format = options.format.value_or("auto"),
                     .chat_template = options.chat_template,
                     .statistics = absolute_path(options.statistics),
                     .method = options.method,
                     .hparams = io::to_yaml(hparams),
                     .batch_size = options.batch,
                     .seed = options.seed,
                     .threads = session.threads(),
                     .group = hparams.group,
                     .dtype = session.dtype_name(),
                     .device = session.is_on_gpu() ? "cuda" : "cpu",
                     .reference_kernels = session.reference_kernels(),
                     .fingerprints = checked_fingerprints(options.statistics, hparams, model, session),
                     .versions = {{"anchorage", ANCHORAGE_VERSION}, {"torch", TORCH_VERSION}},
                     .canaries = options.canaries.empty() ? "" : absolute_path(options.canaries),
                     .require_approval = options.require_approval},
          .hparams = hparams};
}

coordinator::RunPlan plan_resume(const EditOptions& options, const io::RunRecord& record,
                                 const io::ModelDirectory& model, Session& session) {
  coordinator::RunPlan plan{.record = record,
                            .hparams = io::parse_recorded_hparams(record.hparams, options.run / "run.yaml")};
  plan.hparams.group = static_cast<int>(record.group);
  const auto found = checked_fingerprints(record.statistics, plan.hparams, model, session);
  for (const auto& [name, digest] : record.fingerprints) {
    if (found.at(name) == digest) continue;
    throw io::UserError({.expected = fmt::format("the {} that the run began with, {:.12}...", name, digest),
                         .found = fmt::format("{:.12}...", found.at(name)),
                         .where = name == "statistics" ? record.statistics : record.model,
                         .remedy = "put the original back, or begin a new run"});
  }
  if (!options.edits.empty()) plan.record.edits = absolute_paths(options.edits);
  if (options.format) plan.record.format = *options.format;
  if (!options.canaries.empty()) plan.record.canaries = absolute_path(options.canaries);
  plan.record.require_approval = record.require_approval || options.require_approval;
  return plan;
}

io::EditsFile read_edits_of_files(const io::RunRecord& record, bool strict) {
  io::EditsFile all = all_of_files(record);
  io::set_aside_shared_ids(all);
  require_usable(all, strict);
  return all;
}

io::EditsFile read_all_edits(const io::RunRecord& record, const std::filesystem::path& run, bool strict) {
  io::EditsFile all = all_of_files(record);
  const io::Inbox inbox(io::inbox_of(run));
  for (const io::Edit& edit : inbox.edits()) {
    all.edits.push_back(edit);
    all.places.emplace_back("the inbox");
  }
  drop_withdrawn(all, inbox);
  io::set_aside_shared_ids(all);
  render_prompts(all, record.model, record.chat_template);
  require_usable(all, strict);
  return all;
}

}  // namespace anchorage::launch
