// The tasks by which an evaluation measures general abilities: each a file of open questions, in its own
// format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/evaluation/open_questions.hpp"

namespace anchorage::worker {

struct EvaluationTask {
  std::string name;  // "known" or "lambada"
  std::string file_digest;
  std::vector<OpenQuestion> questions;
};

// Reads the tasks of "known=FILE" and "lambada=FILE", with the first `limit` questions of each (0: all).
// Throws io::UserError for a task that is not known, is named twice, or whose file cannot be read; `where` is
// the option that names them, for messages.
std::vector<EvaluationTask> read_tasks(std::span<const std::string> arguments, std::int64_t limit,
                                       const std::string& where);

// How many of the questions that were answered before, and could be asked again, are still answered.
struct Kept {
  std::int64_t before = 0;
  std::int64_t still = 0;
  // Returns the share still answered; nothing where nothing was answered before.
  std::optional<double> share() const {
    if (before == 0) return std::nullopt;
    return static_cast<double>(still) / static_cast<double>(before);
  }
};

// The results of an earlier report on the same tasks.
class Baseline {
 public:
  // Throws io::UserError when the file is not a report of `eval --json`, or does not have these tasks on the
  // same questions.
  Baseline(const std::filesystem::path& report, std::span<const EvaluationTask> tasks);

  Kept kept(const EvaluationTask& task, const OpenAnswers& now) const;

 private:
  nlohmann::json tasks_;
};

}  // namespace anchorage::worker
