#include "launch/commands/tune/task.hpp"

#include <fmt/format.h>

#include <utility>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/commands/requested_hparams.hpp"
#include "launch/commands/tune/sample.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/fingerprints.hpp"
#include "launch/program/finished_statistics.hpp"
#include "launch/program/model_argument.hpp"
#include "launch/program/model_findings.hpp"
#include "worker/editing/unused_hparams.hpp"

namespace anchorage::launch {
namespace {

constexpr std::size_t most_held_out_sequences = 16;

std::filesystem::path base_to_tune(const std::string& model) {
  const ModelArgument argument = parse_model_argument(model);
  if (!argument.run) return argument.base;
  throw io::UserError({.expected = "a model",
                       .found = "a run",
                       .where = model,
                       .remedy = "give its base model, " + argument.base.string()});
}

void require_files(const TuneOptions& options) {
  if (!std::filesystem::is_regular_file(options.corpus)) {
    throw io::UserError({.expected = "a text",
                         .found = "no file",
                         .where = options.corpus.string(),
                         .remedy = "check the path given to --corpus"});
  }
  const auto folder = std::filesystem::absolute(options.out).parent_path();
  if (exists(options.out) || !is_directory(folder)) {
    throw io::UserError({.expected = "the name of a new file in a directory that is there",
                         .found = exists(options.out) ? "one that is there" : "no directory " + folder.string(),
                         .where = options.out.string(),
                         .remedy = "name another one with --out"});
  }
}

// Opens the statistics that are given. Those that are not are collected from text alone, which cannot serve a
// subject_share.
std::optional<io::StatisticsFile> given_statistics(const TuneTask& task) {
  if (!task.options.statistics.empty()) {
    auto given = io::StatisticsFile::load(task.options.statistics);
    given.check_fingerprint(task.fingerprint);
    if (task.start.subject_share > 0) given.require_subjects();
    return given;
  }
  if (task.start.subject_share == 0) return std::nullopt;
  throw io::UserError({.expected = "statistics with second moments of subjects, since subject_share is above 0",
                       .found = "none",
                       .where = "--stats",
                       .remedy = "make them with 'anchorage stats --subjects', or set subject_share to 0"});
}

// Encodes the sample: the facts to trace, and the text that follows the one of the second moments.
void add_sample_of_model(TuneTask& task, const Session& session) {
  const TuneOptions& options = task.options;
  const io::ModelConfig& config = task.directory.config();
  const auto tokenizer = io::Tokenizer::load(task.directory.tokenizer());
  const worker::PromptBuilder prompts(tokenizer, config.vocabulary);
  task.facts = facts_to_trace(task.sample, prompts, config.max_positions, options.edits, session);
  const bool is_same_text = !task.given || task.given->fingerprint().corpus == task.fingerprint.corpus;
  const std::int64_t used = task.given ? task.given->tokens() : options.tokens;
  task.held_out = held_out_sequences(options.corpus, tokenizer, task.sequence_length, config.vocabulary,
                                     is_same_text ? used : 0, most_held_out_sequences);
  task.held_out_words = fmt::format("{} sequences of {}{}", task.held_out.size(),
                                    options.corpus.filename().string(), is_same_text ? " after these tokens" : "");
}

}  // namespace

TrialSettings TuneTask::first_settings() const {
  return {.layers = start.layers,
          .mom2_update_weight = start.mom2_update_weight,
          .clamp_norm_factor = start.clamp_norm_factor};
}

io::Hparams TuneTask::resolved(const TrialSettings& settings) const {
  io::Hparams hparams = start;
  hparams.layers = settings.layers;
  hparams.mom2_update_weight = settings.mom2_update_weight;
  hparams.clamp_norm_factor = settings.clamp_norm_factor;
  return io::resolve(hparams, directory.config(), options.hparams, options.assignments);
}

TuneTask read_task(TuneOptions options, Session& session) {
  if (session.is_root()) require_files(options);
  const worker::Method method = worker::method_named(options.method);
  auto directory = io::ModelDirectory::open(base_to_tune(options.model));
  TuneTask task{.options = std::move(options),
                .directory = std::move(directory),
                .method = method,
                .sample = {},
                .start = {},
                .fingerprint = {}};
  const TuneOptions& given = task.options;
  task.sample = read_sample(given.edits, given.format, given.limit, session);
  task.options.limits.edits = std::ssize(task.sample.edits);
  task.start = stated_hparams(given.hparams, given.assignments, method, session);
  auto settings = task.first_settings();
  if (settings.layers.empty()) settings.layers = {0};
  task.resolved(settings);  // finds what is wrong with the other values
  task.uses_weight = worker::unmet_condition("mom2_update_weight", method, task.start).empty();
  task.sequence_length = sequence_length(given.sequence_length, task.directory.config());
  task.fingerprint = fingerprint_of(task.directory, session.host());
  task.given = given_statistics(task);
  task.fingerprint.corpus = io::sha256_of_file(given.corpus);
  task.fingerprint.sequence_length = task.sequence_length;
  render_all_prompts(task.sample, task.directory.path(), given.chat_template, session.host());
  add_sample_of_model(task, session);
  return task;
}

nlohmann::json inputs_of(const TuneTask& task, const Session& session) {
  const TuneOptions& options = task.options;
  return {{"version", ANCHORAGE_VERSION},
          {"model", task.fingerprint.model},
          {"tokenizer", task.fingerprint.tokenizer},
          {"sample", io::sha256_of_file(options.edits)},
          {"format", options.format.value_or("auto")},
          {"chat template", options.chat_template},
          {"corpus", task.fingerprint.corpus},
          {"statistics", options.statistics.empty() ? "" : statistics_digest(options.statistics, task.start)},
          {"method", options.method},
          {"hyper-parameters", io::to_yaml(task.start)},
          {"limit", options.limit},
          {"tokens", options.tokens},
          {"sequence length", task.sequence_length},
          {"noises", options.noises},
          {"seed", options.seed},
          {"dtype", session.dtype_name()},
          {"device", session.is_on_gpu() ? "cuda" : "cpu"}};
}

}  // namespace anchorage::launch
