#include "worker/evaluation/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <type_traits>

#include "io/error.hpp"
#include "io/evaluation/known_facts.hpp"
#include "io/evaluation/lambada.hpp"
#include "io/files/digest.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/alternatives.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::worker {
namespace {

using Questions = decltype(EvaluationTask::questions);

std::vector<OpenQuestion> known_facts(const std::filesystem::path& file) {
  std::vector<OpenQuestion> questions;
  for (const io::KnownFact& fact : io::read_known_facts(file)) questions.push_back({fact.prompt, fact.attribute});
  return questions;
}

std::vector<OpenQuestion> lambada(const std::filesystem::path& file) {
  std::vector<OpenQuestion> questions;
  for (const io::Passage& passage : io::read_lambada(file))
    questions.push_back({passage.beginning, passage.last_word, " "});
  return questions;
}

struct KnownTask {
  std::string_view name;
  Questions (*read)(const std::filesystem::path& file);
};
constexpr std::array tasks_by_name = {
    KnownTask{"known", [](const std::filesystem::path& file) { return Questions(known_facts(file)); }},
    KnownTask{"lambada", [](const std::filesystem::path& file) { return Questions(lambada(file)); }},
    KnownTask{"sentiment", [](const std::filesystem::path& file) { return Questions(io::read_sentiment(file)); }},
    KnownTask{"nli", [](const std::filesystem::path& file) { return Questions(io::read_nli(file)); }},
    KnownTask{"mmlu", [](const std::filesystem::path& file) { return Questions(io::read_mmlu(file)); }},
    KnownTask{"summarization",
              [](const std::filesystem::path& file) { return Questions(summarization(io::read_summaries(file))); }},
    KnownTask{"open-qa",
              [](const std::filesystem::path& file) { return Questions(open_qa(io::read_open_qa(file))); }},
};

// The list of a task's questions, const or not.
template <typename Questions>
auto& list_of(Questions& questions) {
  if constexpr (std::is_same_v<std::remove_const_t<Questions>, GenerationTask>) {
    return questions.questions;
  } else {
    return questions;
  }
}

EvaluationTask read_task(const std::string& argument, const TaskOptions& options, const std::string& option) {
  const auto equals = argument.find('=');
  const auto known = std::ranges::find(tasks_by_name, argument.substr(0, equals), &KnownTask::name);
  if (equals == argument.npos || known == tasks_by_name.end()) {
    std::array<std::string_view, tasks_by_name.size()> names;
    std::ranges::transform(tasks_by_name, names.begin(), &KnownTask::name);
    throw io::UserError({.expected = fmt::format("NAME=FILE, with {} for a name", io::alternatives(names)),
                         .found = "'" + argument + "'",
                         .where = option,
                         .remedy = "docs/evaluation.md says what each measures"});
  }
  const std::string file = argument.substr(equals + 1);
  EvaluationTask task{.name = std::string(known->name), .file_digest = {}, .questions = known->read(file)};
  task.file_digest = io::sha256_of_file(file);
  if (auto* choices = std::get_if<std::vector<io::ChoiceQuestion>>(&task.questions)) {
    task.shots = options.shots;
    *choices = io::with_examples(*choices, static_cast<std::size_t>(options.shots), file);
  }
  std::visit(
      [&](auto& questions) {
        auto& list = list_of(questions);
        if (options.limit > 0 && std::ssize(list) > options.limit)
          list.resize(static_cast<std::size_t>(options.limit));
      },
      task.questions);
  return task;
}

bool has_choices(const EvaluationTask& task) {
  return std::holds_alternative<std::vector<io::ChoiceQuestion>>(task.questions);
}

// A figure that is a mean over the questions that could be asked.
Figure mean_figure(std::string name, std::span<const double> values, std::optional<double> chance = {}) {
  return {
      .name = std::move(name), .estimate = mean_of(values), .interval = bootstrap_mean(values), .chance = chance};
}

std::vector<Figure> figures(const OpenAnswers& answers) {
  std::vector<double> answered;
  for (std::size_t i = 0; i < answers.answered.size(); ++i) {
    if (!answers.left_out[i]) answered.push_back(answers.answered[i] ? 1 : 0);
  }
  return {mean_figure("accuracy", answered)};
}

std::optional<Interval> interval_of_area(const std::vector<ChoiceAnswer>& asked) {
  std::vector<double> differences;
  for (const ChoiceAnswer& answer : asked) differences.push_back(answer.difference());
  std::vector<double> of_first, of_second;
  return bootstrap(asked.size(), [&](std::span<const std::size_t> questions) -> std::optional<double> {
    of_first.clear();
    of_second.clear();
    for (const std::size_t question : questions)
      (asked[question].right == 0 ? of_first : of_second).push_back(differences[question]);
    const auto area = area_under_curve(of_first, of_second);
    return area ? std::optional(area->value) : std::nullopt;
  });
}

std::vector<Figure> figures(const ChoiceAnswers& answers) {
  std::vector<ChoiceAnswer> asked;
  std::ranges::copy_if(answers.answers, std::back_inserter(asked), &ChoiceAnswer::is_asked);
  std::vector<double> likeliest, greedy;
  for (const ChoiceAnswer& answer : asked) {
    likeliest.push_back(answer.likeliest() == answer.right ? 1 : 0);
    greedy.push_back(answer.greedy == answer.right ? 1 : 0);
  }
  std::vector<Figure> figures;
  if (answers.choices == 2) {
    figures.push_back({.name = "auc",
                       .estimate = answers.area_under_curve(),
                       .interval = interval_of_area(asked),
                       .chance = 0.5});
  }
  figures.push_back(mean_figure("accuracy", likeliest, answers.chance()));
  figures.push_back(mean_figure("greedy", greedy, answers.chance()));
  return figures;
}

std::vector<Figure> figures(const GeneratedAnswers& answers) {
  std::vector<Figure> figures;
  for (const GeneratedAnswers::Measured& measured : answers.measured)
    figures.push_back(mean_figure(measured.name, measured.values));
  return figures;
}

bool is_left_out(bool left_out) {
  return left_out;
}
bool is_left_out(const ChoiceAnswer& answer) {
  return !answer.is_asked();
}
bool is_left_out(const std::optional<std::string>& text) {
  return !text;
}

template <typename List>
LeftOutQuestions left_out_in(const List& list, const std::string& reason) {
  LeftOutQuestions left_out{.reason = reason};
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_left_out(list[i])) continue;
    if (left_out.count++ == 0) left_out.first = static_cast<std::int64_t>(i);
  }
  return left_out;
}

LeftOutQuestions left_out(const OpenAnswers& answers) {
  return left_out_in(answers.left_out, answers.rejection);
}
LeftOutQuestions left_out(const ChoiceAnswers& answers) {
  return left_out_in(answers.answers, answers.rejection);
}
LeftOutQuestions left_out(const GeneratedAnswers& answers) {
  return left_out_in(answers.texts, answers.rejection);
}

// Refuses what a report says of another file, another number of questions, or after other examples. Throws json's
// own exceptions for values of other types.
template <class Refuse>
void require_same_questions(const EvaluationTask& task, const nlohmann::json& before, const Refuse& refuse) {
  const bool is_scored = std::holds_alternative<std::vector<OpenQuestion>>(task.questions);
  if (before.value("questions", -1) != task.size() || before.value("file", "") != task.file_digest ||
      (is_scored && !before.contains("answered"))) {
    refuse(fmt::format("'{}' of the same {} questions", task.name, task.size()),
           fmt::format("{} of another file or another number", before.value("questions", 0)));
  }
  if (before.value("shots", 0) != task.shots)
    refuse(fmt::format("'{}' after {} examples", task.name, task.shots),
           fmt::format("{}", before.value("shots", 0)));
  if (!is_scored) return;
  for (const std::int64_t number : before.at("answered")) {
    if (number < 0 || number >= task.size())
      refuse(fmt::format("answered questions from 0 to {}", task.size() - 1), std::to_string(number));
  }
}

}  // namespace

std::int64_t EvaluationTask::size() const {
  return std::visit([](const auto& all) { return std::ssize(list_of(all)); }, questions);
}

std::vector<EvaluationTask> read_tasks(std::span<const std::string> arguments, const TaskOptions& options,
                                       const std::string& where) {
  std::vector<EvaluationTask> tasks;
  for (const std::string& argument : arguments) {
    tasks.push_back(read_task(argument, options, where));
    if (std::ranges::count(tasks, tasks.back().name, &EvaluationTask::name) == 1) continue;
    throw io::UserError({.expected = "each task once",
                         .found = fmt::format("'{}' twice", tasks.back().name),
                         .where = where,
                         .remedy = "evaluate the second file in a run of its own"});
  }
  if (options.shots == 0 || std::ranges::any_of(tasks, has_choices)) return tasks;
  throw io::UserError({.expected = "a task with choices, whose questions have examples before them",
                       .found = "none",
                       .where = where,
                       .remedy = "name sentiment, nli or mmlu, or leave --shots out"});
}

TaskAnswers ask(const Transformer& model, const PromptBuilder& prompts, const EvaluationTask& task,
                const Communicators& ranks) {
  return std::visit([&](const auto& questions) -> TaskAnswers { return ask(model, prompts, questions, ranks); },
                    task.questions);
}

std::vector<Figure> figures_of(const TaskAnswers& answers) {
  return std::visit([](const auto& of_kind) { return figures(of_kind); }, answers);
}

LeftOutQuestions left_out_of(const TaskAnswers& answers) {
  return std::visit([](const auto& of_kind) { return left_out(of_kind); }, answers);
}

Baseline::Baseline(const std::filesystem::path& report, std::span<const EvaluationTask> tasks) {
  io::Diagnostic diagnostic{
      .expected = "a report of 'anchorage eval --json'",
      .found = {},
      .where = report.string(),
      .remedy = "make it with 'anchorage eval MODEL --json' and the same --tasks, --task-limit and --shots"};
  const auto refuse = [&](const std::string& expected, const std::string& found) {
    diagnostic.expected = expected;
    diagnostic.found = found;
    throw io::UserError(diagnostic);
  };
  const io::MappedFile file(report);
  const auto document = io::parse_strict_json(io::text_of(file.bytes()), diagnostic);
  if (!document.is_object()) refuse(diagnostic.expected, "another text");
  tasks_ = document.value("tasks", nlohmann::json::object());
  for (const EvaluationTask& task : tasks) {
    if (!tasks_.contains(task.name)) refuse(fmt::format("the task '{}'", task.name), "none of that name");
    try {
      require_same_questions(task, tasks_[task.name], refuse);
    } catch (const nlohmann::json::exception&) {
      refuse(fmt::format("figures of '{}' as 'anchorage eval --json' has them", task.name), "others");
    }
  }
}

Kept Baseline::kept(const EvaluationTask& task, const OpenAnswers& now) const {
  std::vector<double> still;
  for (const std::size_t number : tasks_.at(task.name).at("answered")) {
    if (!now.left_out.at(number)) still.push_back(now.answered.at(number) ? 1 : 0);
  }
  return {.before = std::ssize(still), .still = std::ranges::count(still, 1), .interval = bootstrap_mean(still)};
}

std::vector<KeptFigure> Baseline::kept(const EvaluationTask& task, std::span<const Figure> now) const {
  const nlohmann::json& before = tasks_.at(task.name);
  std::vector<KeptFigure> kept;
  for (const Figure& figure : now) {
    KeptFigure& own = kept.emplace_back(KeptFigure{.name = figure.name, .share = std::nullopt});
    const auto number = [&](const std::string& key) {
      const auto found = before.find(key);
      return found != before.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
    };
    const auto value = number(figure.name), error = number(figure.name + "_error");
    if (!value || !error || !figure.estimate) continue;
    own.share = kept_above_chance({*value, *error}, *figure.estimate, number(figure.name + "_chance").value_or(0));
    own.was_at_chance = !own.share;
  }
  return kept;
}

std::int64_t Baseline::left_out(const EvaluationTask& task) const {
  return tasks_.at(task.name).value("left_out", std::int64_t{0});
}

}  // namespace anchorage::worker
