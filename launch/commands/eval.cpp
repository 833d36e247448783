// `anchorage eval`: measures how well a model holds edits, the loss on other text, and general abilities. Prints a
// table, one JSON document with --json. Exit codes: 0; 2 for bad input; 1 for any other failure.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/log.hpp"
#include "launch/commands/stage_choice.hpp"
#include "launch/program/chat_template.hpp"
#include "launch/program/comma_list.hpp"
#include "launch/program/command_line.hpp"
#include "launch/program/first_edits.hpp"
#include "launch/program/measured.hpp"
#include "launch/program/model_findings.hpp"
#include "launch/program/number_checks.hpp"
#include "launch/program/opened_model.hpp"
#include "worker/communicators.hpp"
#include "worker/evaluation/edit_metrics.hpp"
#include "worker/evaluation/tasks.hpp"
#include "worker/evaluation/text_loss.hpp"

namespace anchorage::launch {
namespace {

struct Options {
  std::string model;
  std::optional<std::string> edits, format, heldout;
  std::string chat_template;
  std::vector<std::string> tasks;  // "known=FILE", "lambada=FILE"
  std::int64_t task_limit = 0;     // questions per task; 0: all
  std::filesystem::path baseline;  // an earlier report of `eval --json`; empty: none
  std::int64_t limit = 0;
  std::optional<std::int64_t> sequence_length;
};

nlohmann::json document_of(const worker::Metric& metric) {
  return {{"success", number_or_null(metric.success)},
          {"accuracy", number_or_null(metric.accuracy)},
          {"magnitude", number_or_null(metric.magnitude)},
          {"edits", metric.edits},
          {"compared", metric.compared},
          {"left_out", metric.left_out}};
}

std::string table_of(const worker::EditMetrics& metrics) {
  std::string table =
      fmt::format("{:<14}{:>9}{:>10}{:>11}{:>8}\n", "", "success", "accuracy", "magnitude", "edits");
  const auto add = [&](const char* name, const worker::Metric& metric) {
    table += fmt::format("{:<14}{:>9}{:>10}{:>11}{:>8}\n", name, number_or_dash(metric.success),
                         number_or_dash(metric.accuracy), number_or_dash(metric.magnitude), metric.edits);
  };
  add("efficacy", metrics.efficacy);
  add("paraphrase", metrics.paraphrase);
  add("neighborhood", metrics.neighborhood);
  const std::string meaning = metrics.score
                                  ? fmt::format("the harmonic mean of {}", fmt::join(metrics.score_of, ", "))
                                  : "nothing was compared";
  return table +
         fmt::format("score {} ({}) over {} edits\n", number_or_dash(metrics.score), meaning, metrics.edits);
}

// The output: one document, or the lines of a table.
struct Report {
  nlohmann::json document = nlohmann::json::object();
  std::string table;
};

void add_edit_metrics(Report& report, const worker::EditMetrics& metrics, std::size_t rejected) {
  report.document.update({{"n", metrics.edits},
                          {"rejected", rejected},
                          {"efficacy", document_of(metrics.efficacy)},
                          {"paraphrase", document_of(metrics.paraphrase)},
                          {"neighborhood", document_of(metrics.neighborhood)},
                          {"score", number_or_null(metrics.score)},
                          {"score_of", metrics.score_of}});
  report.table += table_of(metrics);
  if (rejected > 0) report.table += fmt::format("{} records of the file set aside\n", rejected);
}

void add_text_loss(Report& report, const worker::TextLoss& text) {
  report.document["heldout"] = {
      {"loss", number_or_null(text.loss)}, {"tokens", text.tokens}, {"left_out", text.left_out}};
  report.table +=
      fmt::format("held-out loss {} nats per token over {} tokens\n", number_or_dash(text.loss, 4), text.tokens);
}

std::vector<std::int64_t> numbers_of(const std::vector<bool>& answered) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < answered.size(); ++i) {
    if (answered[i]) numbers.push_back(static_cast<std::int64_t>(i));
  }
  return numbers;
}

nlohmann::json document_of(const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
                           const std::optional<worker::Kept>& kept) {
  nlohmann::json document = {{"file", task.file_digest},
                             {"questions", task.questions.size()},
                             {"answered", numbers_of(answers.answered)},
                             {"left_out", std::ranges::count(answers.left_out, true)},
                             {"accuracy", number_or_null(answers.accuracy())},
                             {"nll", number_or_null(answers.nll)}};
  if (kept) {
    document["kept"] = {{"before", kept->before}, {"still", kept->still}, {"share", number_or_null(kept->share())}};
  }
  return document;
}

std::string line_of(const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
                    const std::optional<worker::Kept>& kept) {
  std::string line = fmt::format("{:<14}{} of {} questions answered, {} nats per answer", task.name,
                                 number_or_dash(answers.accuracy()), answers.asked(), number_or_dash(answers.nll));
  if (kept)
    line += fmt::format("; {} of the {} answered before are kept", number_or_dash(kept->share()), kept->before);
  return line + "\n";
}

void add_task(Report& report, const worker::EvaluationTask& task, const worker::OpenAnswers& answers,
              const std::optional<worker::Baseline>& baseline) {
  const auto kept = baseline ? std::optional(baseline->kept(task, answers)) : std::nullopt;
  report.document["tasks"][task.name] = document_of(task, answers, kept);
  report.table += line_of(task, answers, kept);
}

void log_findings(const io::EditsFile& file) {
  log_rejected(file);
  for (const io::Remark& remark : file.remarks) spdlog::warn("{}: {}", remark.where, remark.text);
}

// Logs on rank 0 what an evaluation could not ask.
void log_left_out(const worker::EditMetrics& metrics) {
  if (!metrics.first_left_out) return;
  spdlog::warn(
      "prompts that cannot be scored are left out: {} of efficacy, {} of paraphrase, {} of neighborhood; "
      "the first, of edit {}: {}",
      metrics.efficacy.left_out, metrics.paraphrase.left_out, metrics.neighborhood.left_out,
      metrics.first_left_out->edit, metrics.first_left_out->reason);
}

void log_left_out(const worker::TextLoss& text) {
  if (text.left_out == 0) return;
  spdlog::warn("{} sequences of held-out text that cannot be scored are left out; the first: {}", text.left_out,
               text.rejection);
}

void log_left_out(const worker::EvaluationTask& task, const worker::OpenAnswers& answers) {
  const auto first = std::ranges::find(answers.left_out, true);
  if (first == answers.left_out.end()) return;
  spdlog::warn("{}: {} questions that cannot be asked are left out; the first, number {}: {}", task.name,
               std::ranges::count(answers.left_out, true), first - answers.left_out.begin(), answers.rejection);
}

int run(const Options& options, Session& session) {
  if (!options.edits && !options.heldout && options.tasks.empty()) {
    throw io::UserError({.expected = "--edits, --tasks or --heldout",
                         .found = "none of them",
                         .where = "eval",
                         .remedy = "say what is to be evaluated"});
  }
  // Reads all files before the model, to report a mistake at once.
  io::EditsFile file;
  if (options.edits) file = read_first_edits(*options.edits, options.format, options.limit);
  if (session.is_root()) log_findings(file);
  const auto tasks = worker::read_tasks(parts_of(options.tasks), options.task_limit, "--tasks");
  std::optional<worker::Baseline> baseline;
  if (!options.baseline.empty()) baseline.emplace(options.baseline, tasks);

  const ModelArgument argument = parse_model_argument(options.model);
  render_all_prompts(file, argument.base, options.chat_template, session.host());
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
  if (options.heldout) {
    const auto text =
        worker::loss_on_text(model.transformer, model.tokenizer, *options.heldout, length, session.communicators());
    if (session.is_root()) log_left_out(text);
    add_text_loss(report, text);
  }
  for (const worker::EvaluationTask& task : tasks) {
    const auto answers = worker::ask(model.transformer, prompts, task.questions, session.communicators());
    if (session.is_root()) log_left_out(task, answers);
    add_task(report, task, answers, baseline);
  }
  session.json() ? session.print(report.document) : session.print(report.table);
  return done;
}

}  // namespace

void add_eval_command(CommandLine& line) {
  auto options = std::make_shared<Options>();
  CLI::App* command = line.app.add_subcommand(
      "eval", "Measure how well a model holds edits, and what they did to their neighborhood");
  command->add_option("model", options->model, "MODEL or RUN[@N]")->required();
  command->add_option("--edits", options->edits, "a file of edits, in any of the known formats");
  add_format_option(*command, options->format);
  add_chat_template_option(*command, options->chat_template);
  command->add_option("--limit", options->limit, "take only the first N edits")
      ->check(whole_number(1))
      ->default_str("all");
  command->add_option("--heldout", options->heldout, "a text file, or records with 'text': the loss on it");
  command
      ->add_option("--sequence-length", options->sequence_length,
                   "tokens of held-out text seen at once; 512 where not given, or the model's positions if these "
                   "are fewer")
      ->check(CLI::Range(2, 1 << 20));
  command->add_option("--tasks", options->tasks, "general abilities: known=FILE,lambada=FILE");
  command->add_option("--task-limit", options->task_limit, "take only the first N questions of each task")
      ->check(whole_number(1))
      ->default_str("all");
  command->add_option("--baseline", options->baseline,
                      "a report of 'eval --json' with the same --tasks: how many of its answers are kept");
  add_session_options(*command, line.session);
  add_stages_option(*command, line.session);
  command->callback(
      [&line, options] { line.action = [options](Session& session) { return run(*options, session); }; });
}

}  // namespace anchorage::launch
