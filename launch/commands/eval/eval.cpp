// `anchorage eval`: measures how well a model holds edits, the loss on other text, and general abilities. Prints a
// table, one JSON document with --json. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/log.hpp"
#include "launch/commands/eval/edit_report.hpp"
#include "launch/commands/eval/generation_report.hpp"
#include "launch/commands/eval/task_report.hpp"
#include "launch/commands/eval/text_report.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/comma_list.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/first_edits.hpp"
#include "launch/program/model_findings.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/communicators.hpp"

namespace anchorage::launch {
namespace {

struct EvalOptions {
  std::string model;
  std::optional<std::string> edits, format, heldout;
  std::string chat_template;
  std::vector<std::string> tasks;  // "NAME=FILE"
  worker::TaskOptions task_options;
  std::filesystem::path baseline;  // an earlier report of `eval --json`; empty: none
  bool generate = false;
  std::int64_t max_new_tokens = 32;
  std::int64_t limit = 0;
  std::optional<std::int64_t> sequence_length;
};

void log_findings(const io::EditsFile& file) {
  log_rejected(file);
  for (const io::Remark& remark : file.remarks) spdlog::warn("{}: {}", remark.where, remark.text);
}

int run_eval(const EvalOptions& options, Session& session) {
  if (!options.edits && !options.heldout && options.tasks.empty()) {
    throw io::UserError({.expected = "--edits, --tasks or --heldout",
                         .found = "none of them",
                         .where = "eval",
                         .remedy = "say what is to be evaluated"});
  }
  if (!options.baseline.empty() && options.tasks.empty() && !options.generate) {
    throw io::UserError({.expected = "--tasks or --generate, whose answers a baseline is compared with",
                         .found = "neither",
                         .where = "--baseline",
                         .remedy = "name what the report measured, or leave --baseline out"});
  }
  // Reads all files before the model, to report a mistake at once.
  io::EditsFile file;
  if (options.edits) file = read_first_edits(*options.edits, options.format, options.limit);
  if (session.is_root()) log_findings(file);
  const auto tasks = worker::read_tasks(parts_of(options.tasks), options.task_options, "--tasks");
  std::optional<worker::Baseline> baseline;
  if (!options.baseline.empty() && !tasks.empty()) baseline.emplace(options.baseline, tasks);

  const ModelArgument argument = parse_model_argument(options.model);
  render_all_prompts(file, argument.base, options.chat_template, session.host());
  std::optional<worker::GenerationBaseline> texts_before;
  if (options.generate && !options.baseline.empty())
    texts_before.emplace(options.baseline, file.edits, options.max_new_tokens);
  const auto config = io::ModelDirectory::open(argument.base).config();
  const std::int64_t length = sequence_length(options.sequence_length, config);
  session.arrange(choose_stages(workload_of(config, session), session).stages);
  const OpenedModel model = open_model(argument, session);
  const worker::PromptBuilder prompts(model.tokenizer, config.vocabulary);
  Report report;
  if (options.edits) {
    const auto metrics = worker::evaluate_edits(model.transformer, prompts, file.edits, session.communicators());
    if (session.is_root()) log_left_out(metrics);
    add_edit_metrics(report, metrics, file.rejected.size());
  }
  if (options.generate) {
    const auto generations = worker::generate_for_edits(model.transformer, prompts, file.edits,
                                                        options.max_new_tokens, session.communicators());
    if (session.is_root()) log_left_out(generations);
    add_generations(report, file.edits, generations, texts_before ? &*texts_before : nullptr);
  }
  if (options.heldout) {
    const auto text =
        worker::loss_on_text(model.transformer, model.tokenizer, *options.heldout, length, session.communicators());
    if (session.is_root()) log_left_out(text);
    add_text_loss(report, text);
  }
  for (const worker::EvaluationTask& task : tasks) {
    const auto answers = worker::ask(model.transformer, prompts, task, session.communicators());
    if (session.is_root()) log_left_out(task, answers);
    add_task(report, task, answers, baseline);
  }
  session.json() ? session.print(report.document) : session.print(report.table);
  return done;
}

}  // namespace

void add_eval_command(CommandLine& line) {
  auto options = std::make_shared<EvalOptions>();
  CLI::App* command = line.app.add_subcommand(
      "eval", "Measure how well a model holds edits, and what they did to their neighborhood");
  command->add_option("model", options->model, "MODEL or RUN[@N]")->required();
  auto* edits = command->add_option("--edits", options->edits, "a file of edits, in any of the known formats");
  add_format_option(*command, options->format);
  add_chat_template_option(*command, options->chat_template);
  auto* generate = command->add_flag("--generate", options->generate,
                                     "continue every prompt of the edits greedily, and look for the answers there");
  generate->needs(edits);
  command->add_option("--max-new-tokens", options->max_new_tokens, "of --generate, at the most")
      ->check(whole_number(1, worker::most_new_tokens))
      ->needs(generate);
  command->add_option("--limit", options->limit, "take only the first N edits")
      ->check(whole_number(1))
      ->default_str("all");
  command->add_option("--heldout", options->heldout, "a text file, or records with 'text': the loss on it");
  command
      ->add_option("--sequence-length", options->sequence_length,
                   "tokens of held-out text seen at once; 512 where not given, or the model's positions if these "
                   "are fewer")
      ->check(CLI::Range(2, 1 << 20));
  command->add_option(
      "--tasks", options->tasks,
      "general abilities: NAME=FILE,..., of known, lambada, sentiment, nli, mmlu, summarization and open-qa");
  command->add_option("--task-limit", options->task_options.limit, "take only the first N questions of each task")
      ->check(whole_number(1))
      ->default_str("all");
  command
      ->add_option("--shots", options->task_options.shots,
                   "examples before each question of sentiment, nli and mmlu, taken out of the file")
      ->check(whole_number(0));
  command->add_option(
      "--baseline", options->baseline,
      "a report of 'eval --json' with the same --tasks, or of the same --edits with --generate: how "
      "many of its answers are kept");
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run_eval(*options, session); }; });
}

}  // namespace anchorage::launch
