#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/digest.hpp"
#include "io/error.hpp"
#include "launch/command_line.hpp"
#include "launch/fingerprints.hpp"
#include "launch/model_argument.hpp"
#include "launch/stage_choice.hpp"
#include "worker/statistics/key_statistics.hpp"

namespace anchorage::launch {
namespace {

struct Options {
  std::string model;
  worker::StatisticsOptions statistics;
};

void check_layers(const std::vector<std::int64_t>& layers, const io::ModelConfig& config) {
  for (const std::int64_t layer : layers) {
    if (layer >= 0 && layer < config.layers) continue;
    throw io::UserError({.expected = fmt::format("layers from 0 to {}", config.layers - 1),
                         .found = std::to_string(layer),
                         .where = "--layers",
                         .remedy = ""});
  }
}

// Of a run, the file would have the base model's fingerprint and pass as the base's.
void require_base_model(const ModelArgument& argument) {
  if (!argument.run) return;
  throw io::UserError({.expected = "a model: statistics are of the weights before any edit",
                       .found = "a run",
                       .where = argument.run->string(),
                       .remedy = fmt::format("give the base model, {}, or 'anchorage export' the run first",
                                             argument.base.string())});
}

// True where the file already holds what is asked for.
bool is_finished(const worker::StatisticsOptions& wanted, const io::StatisticsFingerprint& fingerprint) {
  if (io::statistics_state(wanted.out) != io::StatisticsState::finished) return false;
  const auto file = io::StatisticsFile::load(wanted.out);
  return file.fingerprint() == fingerprint && file.layers() == wanted.layers && file.tokens() == wanted.tokens;
}

int run(Options options, Session& session) {
  auto& wanted = options.statistics;
  std::ranges::sort(wanted.layers);
  const auto repeated = std::ranges::unique(wanted.layers);
  wanted.layers.erase(repeated.begin(), repeated.end());
  const ModelArgument argument = parse_model_argument(options.model);
  require_base_model(argument);
  const auto directory = io::ModelDirectory::open(argument.base);
  check_layers(wanted.layers, directory.config());
  auto fingerprint = fingerprint_of(directory, session.host());
  fingerprint.corpus = io::sha256_of_file(wanted.corpus);
  fingerprint.sequence_length = wanted.sequence_length;

  worker::StatisticsSummary summary{.tokens = wanted.tokens, .tokens_resumed = wanted.tokens};
  if (!is_finished(wanted, fingerprint)) {
    session.arrange(choose_stages(workload_of(directory.config(), session), session));
    const OpenedModel model = open_model_together(argument, session);
    const auto progress = [&](std::int64_t tokens) { spdlog::info("{} of {} tokens", tokens, wanted.tokens); };
    summary = worker::collect_key_statistics(model.transformer, model.tokenizer, fingerprint, wanted,
                                             session.ranks(), progress);
  }
  if (session.json()) {
    session.print(nlohmann::json{{"out", wanted.out.string()},
                                 {"layers", wanted.layers},
                                 {"tokens", summary.tokens},
                                 {"tokens_resumed", summary.tokens_resumed},
                                 {"seconds", summary.seconds}});
  } else {
    session.print(fmt::format("{}: second moments of {} layers from {} tokens, in {:.1f} s\n", wanted.out.string(),
                              wanted.layers.size(), summary.tokens, summary.seconds));
  }
  return done;
}

}  // namespace

void add_stats_command(CommandLine& line) {
  auto options = std::make_shared<Options>();
  auto& wanted = options->statistics;
  wanted.tokens = 100000;
  CLI::App* command = line.app.add_subcommand("stats", "Collect the second moments of the keys on general text");
  command->add_option("model", options->model, "MODEL")->required();
  command->add_option("--corpus", wanted.corpus, "a text file, UTF-8")->required();
  command->add_option("--layers", wanted.layers, "to collect for: 4,5,6")->required()->delimiter(',');
  command->add_option("--tokens", wanted.tokens, "to collect")->check(CLI::PositiveNumber);
  command->add_option("--sequence-length", wanted.sequence_length, "tokens seen at once")
      ->check(CLI::Range(2, 1 << 20));
  command->add_option("--out", wanted.out, "the statistics file; an interrupted one is continued")->required();
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run(*options, session); }; });
}

}  // namespace anchorage::launch
