// The tasks by which an evaluation measures general abilities: each a file of questions in its own format, and
// figures of a model's answers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "io/evaluation/choice_questions.hpp"
#include "worker/evaluation/bootstrap.hpp"
#include "worker/evaluation/choices.hpp"
#include "worker/evaluation/classification.hpp"
#include "worker/evaluation/generated_answers.hpp"
#include "worker/evaluation/open_questions.hpp"

namespace anchorage::worker {

struct TaskOptions {
  std::int64_t limit = 0;  // the first questions of each task; 0: all
  std::int64_t shots = 0;  // examples before each question of a task with choices
};

// One task. Those with an answer that is scored, with choices, and with an answer in the model's own words.
struct EvaluationTask {
  std::string name;
  std::string file_digest;
  std::int64_t shots = 0;
  std::variant<std::vector<OpenQuestion>, std::vector<io::ChoiceQuestion>, GenerationTask> questions;

  std::int64_t size() const;  // questions
};

using TaskAnswers = std::variant<OpenAnswers, ChoiceAnswers, GeneratedAnswers>;

// Reads the tasks of "NAME=FILE". Throws io::UserError for a task that is not known, is named twice, or whose file
// cannot be read, and for shots where no task has choices; `where` is the option that names the tasks, for
// messages.
std::vector<EvaluationTask> read_tasks(std::span<const std::string> arguments, const TaskOptions& options,
                                       const std::string& where);

// Asks a task's questions. Collective; the result is the same on all ranks and for any number of them.
TaskAnswers ask(const Transformer& model, const PromptBuilder& prompts, const EvaluationTask& task,
                const Communicators& ranks);

// One figure of a task's answers.
struct Figure {
  std::string name;
  std::optional<Estimate> estimate;       // nothing where it was not measured
  std::optional<Interval> interval = {};  // bootstrap over questions
  std::optional<double> chance = {};      // what one reaches without looking at the question
};

// The figures by which a task is compared before and after editing, most telling first.
std::vector<Figure> figures_of(const TaskAnswers& answers);

// How many questions could not be asked, and why the first of them cannot be.
struct LeftOutQuestions {
  std::int64_t count = 0;
  std::int64_t first = 0;  // from 0
  std::string reason{};
};
LeftOutQuestions left_out_of(const TaskAnswers& answers);

// How many of the questions that were answered before, and could be asked again, are still answered.
struct Kept {
  std::int64_t before = 0;
  std::int64_t still = 0;
  std::optional<Interval> interval = {};  // of the share: bootstrap over the questions answered before
  // Returns the share still answered; nothing where nothing was answered before.
  std::optional<double> share() const {
    if (before == 0) return std::nullopt;
    return static_cast<double>(still) / static_cast<double>(before);
  }
};

// What is left of one figure: (now - chance) / (before - chance). Nothing where it was at chance before, or was not
// measured before or now.
struct KeptFigure {
  std::string name;
  std::optional<double> share;
  bool was_at_chance = false;
};

// The results of an earlier report on the same tasks.
class Baseline {
 public:
  // Throws io::UserError when the file is not a report of `eval --json`, or does not have these tasks on the same
  // questions.
  Baseline(const std::filesystem::path& report, std::span<const EvaluationTask> tasks);

  Kept kept(const EvaluationTask& task, const OpenAnswers& now) const;
  std::vector<KeptFigure> kept(const EvaluationTask& task, std::span<const Figure> now) const;
  // How many of the task's questions could not be asked before.
  std::int64_t left_out(const EvaluationTask& task) const;

 private:
  nlohmann::json tasks_;
};

}  // namespace anchorage::worker
