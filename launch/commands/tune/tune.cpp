// `anchorage tune`: finds layers, mom2_update_weight and clamp_norm_factor for a model by causal tracing and short
// trials, and writes a file of hyper-parameters. Prints the trace and the table of trials, one JSON document with
// --json. Exit codes: 0; 2 for bad input; 1 for any other failure; what was finished is kept and the same command
// continues it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/files/atomic_file.hpp"
#include "io/files/digest.hpp"
#include "launch/commands/edit_contexts.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/commands/tune/candidates.hpp"
#include "launch/commands/tune/figures.hpp"
#include "launch/commands/tune/report.hpp"
#include "launch/commands/tune/task.hpp"
#include "launch/commands/tune/trial_run.hpp"
#include "launch/commands/tune/work_directory.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/opened_model.hpp"
#include "launch/program/progress_line.hpp"

namespace anchorage::launch {
namespace {

// The values to be tried: of the options, or around those that the search starts from.
SearchGrid grid_of(const TuneTask& task, std::vector<std::vector<int>> windows) {
  const double weight = task.start.mom2_update_weight;
  const auto or_default = [](const std::vector<double>& asked, const std::vector<double>& values) {
    return asked.empty() ? values : asked;
  };
  SearchGrid grid{.windows = std::move(windows), .weights = {weight}, .clamps = {task.start.clamp_norm_factor}};
  if (task.uses_weight) {
    for (const double value : or_default(task.options.weights, {weight / 30, weight / 10, weight / 3, weight * 3}))
      add_once(grid.weights, value);
  }
  for (const double value : or_default(task.options.clamps, {0.5, 1, 2, 4})) add_once(grid.clamps, value);
  return grid;
}

std::vector<Trial> make_trials(const TuneTask& task, const TrialBasis& basis, const SearchGrid& grid,
                               const io::StatisticsFile& statistics, const TrialFigures& before,
                               const WorkDirectory& work, Session& session) {
  ProgressLine line("trials", grid.trials(), "trials", session);
  const auto run_trial = [&](const TrialSettings& settings) {
    const io::Hparams hparams = task.resolved(settings);
    bool found = false;
    const auto document = work.kept(
        "trials/" + io::sha256_hex(io::to_yaml(hparams)).substr(0, 16),
        [&] {
          nlohmann::json trial = document_of(settings);
          trial.update(document_of(try_hparams(basis, hparams, statistics, session)));
          return trial;
        },
        [&] { found = true; });
    found ? line.leave_out(1) : line.advance(1);
    return figures_of(document);
  };
  return search(grid, task.first_settings(), run_trial,
                [&](std::span<const Trial> trials) { return choose(trials, before, task.options.limits); });
}

// What is known before the first trial, in words.
Tuning described(const TuneTask& task) {
  const TuneOptions& options = task.options;
  const auto name_of = [](const std::filesystem::path& path) {
    return (std::filesystem::absolute(path) / "").lexically_normal().parent_path().filename().string();
  };
  Tuning tuning{.model = name_of(options.model),
                .method = options.method,
                .sample = fmt::format("the first {} edits of {}, one batch", task.sample.edits.size(),
                                      name_of(options.edits)),
                .moments = task.given ? name_of(options.statistics)
                                      : fmt::format("{} tokens of {}", options.tokens, name_of(options.corpus)),
                .text = task.held_out_words,
                .start = options.hparams.empty() ? "--set" : name_of(options.hparams)};
  if (!options.hparams.empty() && !options.assignments.empty()) tuning.start += " or --set";
  tuning.limits = options.limits;
  tuning.uses_weight = task.uses_weight;
  return tuning;
}

// Traces, collects and makes the trials, as far as that was not done before. Fills in what was found and returns
// the path of the statistics. Collective.
std::filesystem::path find_out(Tuning& tuning, const TuneTask& task, OpenedModel& model, const WorkDirectory& work,
                               Session& session) {
  tuning.trace = trace(task, model, work, session);
  const auto windows = windows_of(task, tuning.trace, session);
  const std::filesystem::path path =
      task.given ? task.options.statistics : collected_statistics(task, model, windows, work, session);
  const auto statistics = io::StatisticsFile::load(path);
  coordinator::RunPlan plan{.record = {}, .hparams = task.start};
  plan.record.seed = task.options.seed;
  const auto contexts = run_contexts(model, plan, nullptr, session);
  const worker::PromptBuilder prompts(model.tokenizer, task.directory.config().vocabulary);
  const TrialBasis basis{.model = model,
                         .prompts = prompts,
                         .method = task.method,
                         .contexts = contexts,
                         .edits = task.sample.edits,
                         .held_out = task.held_out};
  tuning.before = figures_of(work.kept("before", [&] { return document_of(measure(basis, session)); }));
  tuning.trials = make_trials(task, basis, grid_of(task, windows), statistics, tuning.before, work, session);
  tuning.chosen = choose(tuning.trials, tuning.before, tuning.limits);
  return path;
}

void write_hparams(const Tuning& tuning, const TuneTask& task) {
  const io::Hparams chosen = task.resolved(tuning.trials[tuning.chosen].settings);
  io::Hparams defaults;
  defaults.layers = chosen.layers;
  const std::filesystem::path& out = task.options.out;
  io::write_file_atomically(out, hparams_file(tuning, chosen, io::resolve(defaults, task.directory.config(), out)));
}

int run_tune(const TuneOptions& options, Session& session) {
  const TuneTask task = read_task(options, session);
  const auto beside = std::filesystem::path(options.out.string() + ".work");
  const WorkDirectory work(options.work.empty() ? beside : options.work, inputs_of(task, session), session.host());
  // They affect rounding: a tuning continues with as many as it began with.
  session.use_threads(work.kept("threads", [&] { return nlohmann::json(session.threads()); }).get<int>());
  session.arrange(choose_stages(workload_of(task.directory.config(), session), session).stages);
  OpenedModel model =
      open_model({.base = task.directory.path(), .run = std::nullopt, .batch = std::nullopt}, session);
  Tuning tuning = described(task);
  const auto statistics = find_out(tuning, task, model, work, session);
  if (session.is_root()) write_hparams(tuning, task);
  if (session.json()) {
    auto document = document_of(tuning);
    document.update(
        {{"out", options.out.string()}, {"work", work.path().string()}, {"statistics", statistics.string()}});
    session.print(document);
  } else {
    session.print(trace_table(tuning.trace) + "\n" + trial_table(tuning) +
                  fmt::format("\n*: chosen {}\n{} is written; statistics of its layers: {}\n",
                              words_of(tuning.limits), options.out.string(), statistics.string()));
  }
  return done;
}

}  // namespace

void add_tune_command(CommandLine& line) {
  auto options = std::make_shared<TuneOptions>();
  CLI::App* command = line.app.add_subcommand(
      "tune", "Find hyper-parameters for a model by causal tracing and short trials, which change nothing");
  command->add_option("model", options->model, "MODEL")->required();
  command
      ->add_option("--edits", options->edits, "a sample of edits, in any of the known formats; 20 to 50 are enough")
      ->required();
  add_format_option(*command, options->format);
  add_chat_template_option(*command, options->chat_template);
  command
      ->add_option("--corpus", options->corpus,
                   "general text, UTF-8, or records with 'text': the second moments are of its first tokens, the "
                   "held-out loss of those that follow")
      ->required();
  command->add_option("--out", options->out, "the file of hyper-parameters to write; it must not be there")
      ->required();
  command
      ->add_option(
          "--work", options->work,
          "directory of what is finished: the same command continues from there; FILE.work where not given")
      ->default_str("");
  command->add_option(
      "--stats", options->statistics,
      "key statistics, from 'anchorage stats': layers that it lacks are not tried; where not given, "
      "they are collected");
  add_hparams_options(*command, options->hparams, options->assignments);  // of the values that no trial varies
  add_method_option(*command, options->method);
  command->add_option("--limit", options->limit, "take only the first N edits, one batch")
      ->check(whole_number(1, most_edits));
  command->add_option("--tokens", options->tokens, "tokens of the second moments")->check(whole_number(1));
  command
      ->add_option("--sequence-length", options->sequence_length,
                   "tokens of text seen at once; 512 where not given, or the model's positions if these are fewer")
      ->check(CLI::Range(2, 1 << 20));
  command->add_option("--noises", options->noises, "corruptions of each fact in the causal trace")
      ->check(whole_number(1, 1000));
  command->add_option("--seed", options->seed, "seed of the noise and of the context prefixes")
      ->check(whole_number(0));
  command
      ->add_option("--weights", options->weights,
                   "values of mom2_update_weight to try; where not given a thirtieth, a tenth, a third and three "
                   "times that of --hparams")
      ->delimiter(',')
      ->check(number_above_zero());
  command
      ->add_option("--clamps", options->clamps,
                   "values of clamp_norm_factor to try; where not given 0.5, 1, 2 and 4")
      ->delimiter(',')
      ->check(number_above_zero());
  command
      ->add_option("--loss-rise", options->limits.loss_rise,
                   "largest rise of the held-out loss of a trial that is chosen, nats per token")
      ->check(number_above_zero());
  command
      ->add_option("--neighbors-within", options->limits.neighbors,
                   "largest distance from the best share of neighbors kept, of a trial that is chosen")
      ->check(number_above_zero());
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_tune(*options, session); }; });
}

}  // namespace anchorage::launch
