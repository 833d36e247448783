// `anchorage stats`: collects the second moments of the keys on general text, or imports others', and adds those at
// the last tokens of subjects. Prints what the file holds. Exit codes: 0; 2 for bad input; 1 for any other failure;
// what was collected is kept and the same command continues it.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/log.hpp"
#include "io/statistics/rome_statistics.hpp"
#include "io/statistics/subject_list.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/comma_list.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/fingerprints.hpp"
#include "launch/program/finished_statistics.hpp"
#include "launch/program/model_findings.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/opened_model.hpp"
#include "launch/program/progress_line.hpp"
#include "worker/statistics/key_statistics.hpp"
#include "worker/statistics/subject_statistics.hpp"

namespace anchorage::launch {
namespace {

struct StatsOptions {
  std::string model;
  worker::StatisticsOptions statistics;
  std::optional<std::int64_t> sequence_length;
  std::vector<std::string> rome;   // LAYER=FILE
  std::filesystem::path subjects;  // a list; empty: none

  bool has_text() const { return !statistics.corpus.empty() || !statistics.layers.empty(); }
};

void check_layers(const std::vector<std::int64_t>& layers, const io::ModelConfig& config, const char* option) {
  for (const std::int64_t layer : layers) {
    if (layer >= 0 && layer < config.layers) continue;
    throw io::UserError({.expected = fmt::format("layers from 0 to {}", config.layers - 1),
                         .found = std::to_string(layer),
                         .where = option,
                         .remedy = ""});
  }
}

// Refuses a run: its file would have the base model's fingerprint and pass as the base's.
void require_base_model(const ModelArgument& argument) {
  if (!argument.run) return;
  throw io::UserError({.expected = "a model: statistics are of the weights before any edit",
                       .found = "a run",
                       .where = argument.run->string(),
                       .remedy = fmt::format("give the base model, {}, or 'anchorage export' the run first",
                                             argument.base.string())});
}

std::map<std::int64_t, std::filesystem::path> files_by_layer(const std::vector<std::string>& arguments) {
  std::map<std::int64_t, std::filesystem::path> files;
  for (const std::string& argument : parts_of(arguments)) {
    std::int64_t layer = 0;
    const char* end = argument.data() + argument.size();
    const auto [stop, error] = std::from_chars(argument.data(), end, layer);
    const bool is_pair = error == std::errc() && stop != end && *stop == '=' && stop + 1 != end;
    if (is_pair && files.try_emplace(layer, std::string(stop + 1, end)).second) continue;
    throw io::UserError({.expected = "LAYER=FILE, each layer once",
                         .found = "'" + argument + "'",
                         .where = "--rome",
                         .remedy = "for example --rome 4=model.layers.4.mlp.down_proj_float32_mom2_100000.npz"});
  }
  return files;
}

// Imports statistics that other tools collected and binds them to this model. Where the files differ in their
// tokens, takes the fewest.
io::Statistics imported(const StatsOptions& options, const io::ModelConfig& config,
                        const io::StatisticsFingerprint& model) {
  io::Statistics statistics{.fingerprint = model, .tokens = 0, .moments = {}, .residual_norm_median = {}};
  for (const auto& [layer, path] : files_by_layer(options.rome)) {
    check_layers({layer}, config, "--rome");
    io::ImportedMoment one = io::import_rome_statistics(path, layer, config.d_ff);
    statistics.tokens = statistics.moments.empty() ? one.tokens : std::min(statistics.tokens, one.tokens);
    statistics.fingerprint.corpus += fmt::format("{}{}", layer, io::sha256_of_file(path));
    statistics.moments.push_back(std::move(one.moment));
  }
  statistics.fingerprint.corpus = io::sha256_hex(statistics.fingerprint.corpus);
  return statistics;
}

int import_moments(const StatsOptions& options, const io::ModelDirectory& directory, Session& session) {
  const auto fingerprint = fingerprint_of(directory, session.host());
  if (!session.is_root()) return done;
  const io::Statistics statistics = imported(options, directory.config(), fingerprint);
  io::save_statistics(options.statistics.out, statistics);
  spdlog::warn("imported statistics have no norms of the residual stream: attention sinks are not looked for");
  auto layers = nlohmann::json::array();
  for (const io::SecondMoment& moment : statistics.moments) layers.push_back(moment.layer);
  if (session.json()) {
    session.print(nlohmann::json{
        {"out", options.statistics.out.string()}, {"layers", layers}, {"tokens", statistics.tokens}});
  } else {
    session.print(fmt::format("{}: second moments of {} layers from {} tokens, imported\n",
                              options.statistics.out.string(), layers.size(), statistics.tokens));
  }
  return done;
}

void require_text(const worker::StatisticsOptions& wanted) {
  if (!wanted.corpus.empty() && !wanted.layers.empty()) return;
  throw io::UserError({.expected = "a text and the layers to collect for, or statistics to import",
                       .found = wanted.corpus.empty() ? "no text" : "no layers",
                       .where = wanted.corpus.empty() ? "--corpus" : "--layers",
                       .remedy = "give --corpus and --layers, or --rome; or --subjects alone, for a file that is "
                                 "finished"});
}

// The model, which is opened when something has to be collected with it.
class ModelOnDemand {
 public:
  ModelOnDemand(const ModelArgument& argument, const io::ModelConfig& config, Session& session)
      : argument_(argument), config_(config), session_(session) {}

  const OpenedModel& open() {
    if (!model_) {
      session_.arrange(choose_stages(workload_of(config_, session_), session_).stages);
      model_.emplace(open_model(argument_, session_));
    }
    return *model_;
  }

 private:
  const ModelArgument& argument_;
  const io::ModelConfig& config_;
  Session& session_;
  std::optional<OpenedModel> model_;
};

// Collects the second moments of text, unless the file has them.
worker::StatisticsSummary collect_text(const worker::StatisticsOptions& wanted,
                                       const io::StatisticsFingerprint& fingerprint, ModelOnDemand& model,
                                       Session& session) {
  if (is_finished(wanted.out, fingerprint, wanted.layers, wanted.tokens))
    return {.tokens = wanted.tokens, .tokens_resumed = wanted.tokens};
  const OpenedModel& opened = model.open();
  const auto progress = [&](std::int64_t tokens) { spdlog::info("{} of {} tokens", tokens, wanted.tokens); };
  return worker::collect_key_statistics(opened.transformer, opened.tokenizer, fingerprint, wanted,
                                        session.communicators(), progress);
}

// Adds the second moments of subjects to a finished file, unless it has those of this list.
worker::SubjectSummary collect_subjects(const io::SubjectList& list, const std::filesystem::path& path,
                                        ModelOnDemand& model, Session& session) {
  const auto file = io::StatisticsFile::load(path);
  if (file.has_subjects_of(list.digest)) return {.rows = file.subjects()->rows};
  const OpenedModel& opened = model.open();
  const worker::PromptBuilder prompts(opened.tokenizer, opened.directory.config().vocabulary);
  ProgressLine line("second moments at subjects", std::ssize(list.prompts), "prompts", session);
  const auto progress = [&](std::int64_t done) { line.advance_to(done); };
  return worker::collect_subject_moments(opened.transformer, prompts, list, path, session.communicators(),
                                         progress);
}

// Where the file is finished and has other subjects: before anything is collected for it.
void refuse_other_subjects(const std::filesystem::path& path, const io::SubjectList& list) {
  if (io::statistics_state(path) == io::StatisticsState::finished)
    static_cast<void>(io::StatisticsFile::load(path).has_subjects_of(list.digest));
}

// Opens a file for --subjects alone: what it was collected from does not matter, if it was this model.
worker::StatisticsSummary finished_statistics(worker::StatisticsOptions& wanted,
                                              const io::StatisticsFingerprint& fingerprint) {
  const auto file = io::StatisticsFile::load(wanted.out);
  file.check_fingerprint(fingerprint);
  wanted.layers = file.layers();
  return {.tokens = file.tokens(), .tokens_resumed = file.tokens()};
}

void print_summary(const worker::StatisticsOptions& wanted, const worker::StatisticsSummary& text,
                   const std::optional<worker::SubjectSummary>& subjects, Session& session) {
  if (session.json()) {
    nlohmann::json document{{"out", wanted.out.string()},
                            {"layers", wanted.layers},
                            {"tokens", text.tokens},
                            {"tokens_resumed", text.tokens_resumed},
                            {"seconds", text.seconds}};
    if (subjects) {
      document["subjects"] = {
          {"rows", subjects->rows}, {"left_out", subjects->left_out}, {"seconds", subjects->seconds}};
    }
    session.print(document);
    return;
  }
  session.print(fmt::format("{}: second moments of {} layers from {} tokens, in {:.1f} s\n", wanted.out.string(),
                            wanted.layers.size(), text.tokens, text.seconds));
  if (subjects) {
    session.print(fmt::format("{}: those of subjects from {} prompts, in {:.1f} s\n", wanted.out.string(),
                              subjects->rows, subjects->seconds));
  }
}

int run_stats(StatsOptions options, Session& session) {
  auto& wanted = options.statistics;
  std::ranges::sort(wanted.layers);
  const auto repeated = std::ranges::unique(wanted.layers);
  wanted.layers.erase(repeated.begin(), repeated.end());
  const ModelArgument argument = parse_model_argument(options.model);
  require_base_model(argument);
  const auto directory = io::ModelDirectory::open(argument.base);
  if (!options.rome.empty()) return import_moments(options, directory, session);
  std::optional<io::SubjectList> list;
  if (!options.subjects.empty()) {
    list = io::read_subject_list(options.subjects);
    refuse_other_subjects(wanted.out, *list);
  }
  const bool subjects_alone = list && !options.has_text();
  if (!subjects_alone) {
    require_text(wanted);
    check_layers(wanted.layers, directory.config(), "--layers");
  }
  wanted.sequence_length = sequence_length(options.sequence_length, directory.config());
  auto fingerprint = fingerprint_of(directory, session.host());
  ModelOnDemand model(argument, directory.config(), session);
  worker::StatisticsSummary summary;
  if (subjects_alone) {
    summary = finished_statistics(wanted, fingerprint);
  } else {
    fingerprint.corpus = io::sha256_of_file(wanted.corpus);
    fingerprint.sequence_length = wanted.sequence_length;
    summary = collect_text(wanted, fingerprint, model, session);
  }
  std::optional<worker::SubjectSummary> subjects;
  if (list) {
    // Rank 0 writes the last of the text's alone.
    session.host().barrier("wait for the statistics", sharding::Timeout::steps(std::ssize(wanted.layers) + 1));
    subjects = collect_subjects(*list, wanted.out, model, session);
  }
  print_summary(wanted, summary, subjects, session);
  return done;
}

}  // namespace

void add_stats_command(CommandLine& line) {
  auto options = std::make_shared<StatsOptions>();
  auto& wanted = options->statistics;
  wanted.tokens = 100000;
  CLI::App* command = line.app.add_subcommand("stats", "Collect the second moments of the keys on general text");
  command->add_option("model", options->model, "MODEL")->required();
  auto* corpus = command->add_option("--corpus", wanted.corpus,
                                     "a text file, UTF-8; or records with 'text', *.jsonl or *.json");
  auto* layers = command->add_option("--layers", wanted.layers, "to collect for: 4,5,6")->delimiter(',');
  command->add_option("--tokens", wanted.tokens, "to collect")->check(whole_number(1));
  command
      ->add_option("--sequence-length", options->sequence_length,
                   "tokens seen at once; 512 where not given, or the model's positions if these are fewer")
      ->check(CLI::Range(2, 1 << 20));
  auto* subjects = command->add_option(
      "--subjects", options->subjects,
      "prompts about subjects, *.jsonl or *.json: adds the second moments at the subjects' last tokens; without "
      "--corpus and --layers, to a file that is finished");
  command
      ->add_option(
          "--rome", options->rome,
          "LAYER=FILE,...: instead of collecting, import what ROME, MEMIT or EasyEdit collected for this model "
          "(.npz with mom2)")
      ->excludes(corpus)
      ->excludes(layers)
      ->excludes(subjects);
  command->add_option("--out", wanted.out, "the statistics file; an interrupted one is continued")->required();
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_stats(*options, session); }; });
}

}  // namespace anchorage::launch
