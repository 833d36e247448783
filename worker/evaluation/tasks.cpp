#include "worker/evaluation/tasks.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "io/error.hpp"
#include "io/evaluation/known_facts.hpp"
#include "io/evaluation/lambada.hpp"
#include "io/files/digest.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::worker {
namespace {

std::vector<OpenQuestion> questions_of(const std::string& task, const std::filesystem::path& file) {
  std::vector<OpenQuestion> questions;
  if (task == "known") {
    for (const io::KnownFact& fact : io::read_known_facts(file)) questions.push_back({fact.prompt, fact.attribute});
  } else {
    for (const io::Passage& passage : io::read_lambada(file))
      questions.push_back({passage.beginning, passage.last_word, " "});
  }
  return questions;
}

EvaluationTask read_task(const std::string& argument, std::int64_t limit, const std::string& option) {
  const auto equals = argument.find('=');
  const std::string name = argument.substr(0, equals);
  if (equals == argument.npos || (name != "known" && name != "lambada")) {
    throw io::UserError({.expected = "known=FILE or lambada=FILE",
                         .found = "'" + argument + "'",
                         .where = option,
                         .remedy = "docs/evaluation.md says what each measures"});
  }
  const std::string file = argument.substr(equals + 1);
  EvaluationTask task{.name = name, .file_digest = {}, .questions = questions_of(name, file)};
  task.file_digest = io::sha256_of_file(file);
  if (limit > 0 && std::ssize(task.questions) > limit) task.questions.resize(static_cast<std::size_t>(limit));
  return task;
}

}  // namespace

std::vector<EvaluationTask> read_tasks(std::span<const std::string> arguments, std::int64_t limit,
                                       const std::string& where) {
  std::vector<EvaluationTask> tasks;
  for (const std::string& argument : arguments) {
    tasks.push_back(read_task(argument, limit, where));
    if (std::ranges::count(tasks, tasks.back().name, &EvaluationTask::name) == 1) continue;
    throw io::UserError({.expected = "each task once",
                         .found = fmt::format("'{}' twice", tasks.back().name),
                         .where = where,
                         .remedy = "evaluate the second file in a run of its own"});
  }
  return tasks;
}

Baseline::Baseline(const std::filesystem::path& report, std::span<const EvaluationTask> tasks) {
  io::Diagnostic diagnostic{
      .expected = "a report of 'anchorage eval --json'",
      .found = {},
      .where = report.string(),
      .remedy = "make it with 'anchorage eval MODEL --json' and the same --tasks and --task-limit"};
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
    const auto& before = tasks_[task.name];
    if (before.value("questions", -1) != std::ssize(task.questions) ||
        before.value("file", "") != task.file_digest || !before.contains("answered")) {
      refuse(fmt::format("'{}' of the same {} questions", task.name, task.questions.size()),
             fmt::format("{} of another file or another number", before.value("questions", 0)));
    }
  }
}

Kept Baseline::kept(const EvaluationTask& task, const OpenAnswers& now) const {
  Kept kept;
  for (const std::size_t number : tasks_.at(task.name).at("answered")) {
    if (now.left_out.at(number)) continue;
    ++kept.before;
    kept.still += now.answered.at(number) ? 1 : 0;
  }
  return kept;
}

}  // namespace anchorage::worker
