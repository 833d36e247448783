#include "launch/commands/edit_setup.hpp"

#include <fmt/ranges.h>
#include <torch/version.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "io/edits/edit_ids.hpp"
#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/log.hpp"
#include "launch/program/broadcast_text.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/fingerprints.hpp"
#include "worker/editing/unused_hparams.hpp"
#include "worker/editing/values/context_prefixes.hpp"

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

// The digests of model, tokenizer and statistics, of which the last must be of the first two and have the edited
// layers.
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
  return {
      {"model", fingerprint.model}, {"tokenizer", fingerprint.tokenizer}, {"statistics", io::sha256_of_file(path)}};
}

// Warns of each --set of a hyper-parameter that has no effect under this method and the other values.
void warn_of_unused_hparams(const std::vector<std::string>& assignments, const worker::Method& method,
                            const io::Hparams& hparams) {
  for (const std::string& assignment : assignments) {
    const auto key = assignment.substr(0, assignment.find('='));
    const auto missing = worker::unmet_condition(key, method, hparams);
    if (!missing.empty()) spdlog::warn("--set {} has no effect here: it is for {}", assignment, missing);
  }
}

// "AlphaEdit" and "alphaedit", "B-EAC" and "b_eac" are one.
std::string bare_name(std::string_view name) {
  std::string bare;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      bare += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return bare;
}

}  // namespace

io::Hparams requested_hparams(const std::string& path, const std::vector<std::string>& assignments,
                              const worker::Method& method, const io::ModelConfig& model, const Session& session) {
  if (path.empty()) {
    throw io::UserError({.expected = "a file of hyper-parameters",
                         .found = "none",
                         .where = "--hparams",
                         .remedy = "launch/hparams has ready ones"});
  }
  io::LoadedHparams loaded = io::load_hparams(path);
  for (const std::string& assignment : assignments) io::set(loaded.hparams, assignment);
  io::Hparams hparams = io::resolve(loaded.hparams, model, path, assignments);
  if (!session.is_root()) return hparams;
  for (const io::IgnoredKey& key : loaded.ignored)
    spdlog::debug("{}: {} is ignored: {}", path, key.key, key.reason);
  if (!loaded.algorithm.empty() && bare_name(loaded.algorithm) != bare_name(method.name)) {
    spdlog::warn("{} is for {} (alg_name), but the method is {} (--method); its values are taken all the same",
                 path, loaded.algorithm, method.name);
  }
  warn_of_unused_hparams(assignments, method, hparams);
  return hparams;
}

EditPlan plan_edit(const EditOptions& options, const io::ModelDirectory& model, Session& session) {
  const worker::Method method = worker::method_named(options.method);
  if (options.edits.empty()) {
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
                     .device = session.device().is_cuda() ? "cuda" : "cpu",
                     .fingerprints = checked_fingerprints(options.statistics, hparams, model, session),
                     .versions = {{"anchorage", ANCHORAGE_VERSION}, {"torch", TORCH_VERSION}}},
          .hparams = hparams};
}

EditPlan plan_resume(const EditOptions& options, const io::RunRecord& record, const io::ModelDirectory& model,
                     Session& session) {
  EditPlan plan{.record = record, .hparams = io::parse_hparams(record.hparams, options.run / "run.yaml").hparams};
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
  return plan;
}

io::EditsFile read_all_edits(const io::RunRecord& run, bool strict) {
  io::EditsFile all{};
  for (const std::string& path : run.edits) {
    io::EditsFile file = io::read_edits(path, io::format_named(run.format));
    all.format = file.format;
    all.edits.insert(all.edits.end(), file.edits.begin(), file.edits.end());
    all.rejected.insert(all.rejected.end(), file.rejected.begin(), file.rejected.end());
    all.places.insert(all.places.end(), file.places.begin(), file.places.end());
    all.remarks.insert(all.remarks.end(), file.remarks.begin(), file.remarks.end());
  }
  io::set_aside_shared_ids(all);
  render_prompts(all, run.model, run.chat_template);
  if (strict && !all.rejected.empty()) {
    throw io::UserError(
        {.expected = "only records that can be used (--strict)",
         .found = fmt::format("{} that cannot; the first: {}", all.rejected.size(), all.rejected.front().reason),
         .where = all.rejected.front().where,
         .remedy = "fix them, or leave out --strict to set them aside"});
  }
  return all;
}

worker::Contexts run_contexts(const OpenedModel& model, const EditPlan& plan, const io::RunDirectory* directory,
                              Session& session) {
  const int generated = plan.hparams.contexts;  // one more than is needed besides the bare prompt: a spare
  const bool kept = directory != nullptr && directory->has_contexts();
  std::vector<std::string> prefixes;
  if (!broadcast_text(kept ? "kept" : "", session.host(), "broadcast whether contexts are kept").empty()) {
    if (session.is_root()) {
      for (const io::Context& context : directory->read_contexts()) prefixes.push_back(context.text);
    }
  } else if (session.place().replica == 0) {
    prefixes = worker::generate_context_prefixes(model.transformer, model.tokenizer, generated,
                                                 plan.hparams.context_length,
                                                 static_cast<std::uint64_t>(plan.record.seed));
  }
  const std::string text = broadcast_text(nlohmann::json(prefixes).dump(), session.host(), "broadcast contexts");
  worker::Contexts contexts{.prefixes = {""}, .wanted = static_cast<std::size_t>(plan.hparams.contexts)};
  for (const std::string prefix : nlohmann::json::parse(text)) contexts.prefixes.push_back(prefix);
  return contexts;
}

void keep_contexts(const worker::Contexts& contexts, const io::Tokenizer& tokenizer, io::RunDirectory& directory) {
  if (directory.has_contexts()) return;
  std::vector<io::Context> kept;
  for (const std::string& prefix : std::span(contexts.prefixes).subspan(1)) {  // after the bare prompt's
    const auto ids = tokenizer.encode(prefix);
    kept.push_back({.text = prefix, .tokens = {ids.begin(), ids.end()}});
  }
  directory.write_contexts(kept);
}

worker::SinkLimits sink_limits(const io::StatisticsFile& statistics, const io::Hparams& hparams) {
  const auto& medians = statistics.residual_norm_median();
  std::vector<float> limits;
  for (const int layer : hparams.layers) {
    const auto index = static_cast<std::size_t>(layer);
    const bool known = index < medians.size() && medians[index] > 0;
    limits.push_back(known ? static_cast<float>(hparams.sink_ratio) * medians[index]
                           : std::numeric_limits<float>::infinity());
  }
  return torch::tensor(limits);
}

}  // namespace anchorage::launch
