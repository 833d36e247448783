// The general abilities that `eval --tasks` measures: each a file of open questions, in its own form.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "worker/evaluation/open_questions.hpp"

namespace anchorage::launch {

struct EvalTask {
  std::string name;  // "known" or "lambada"
  std::string file_digest;
  std::vector<worker::OpenQuestion> questions;
};

struct EvalTaskOptions {
  std::vector<std::string> tasks;    // "known=FILE", "lambada=FILE"
  std::int64_t limit = 0;            // of each task's questions, the first; 0: all
  std::filesystem::path baseline{};  // an earlier report of `eval --json`; empty: none
};

// Throws io::UserError for a task that is not known, is named twice, or whose file cannot be read.
std::vector<EvalTask> read_eval_tasks(const EvalTaskOptions& options);

// How many of the questions that were answered before, and could be asked again, still are.
struct Kept {
  std::int64_t before = 0;
  std::int64_t still = 0;
  // Nothing where nothing was answered before.
  std::optional<double> share() const {
    if (before == 0) return std::nullopt;
    return static_cast<double>(still) / static_cast<double>(before);
  }
};

// What an earlier report says of the same tasks.
class Baseline {
 public:
  // Throws io::UserError when it is no report of `eval --json`, or does not have these tasks on the same questions.
  Baseline(const std::filesystem::path& report, std::span<const EvalTask> tasks);

  Kept kept(const EvalTask& task, const worker::OpenAnswers& now) const;

 private:
  nlohmann::json tasks_;
};

nlohmann::json document_of(const EvalTask& task, const worker::OpenAnswers& answers,
                           const std::optional<Kept>& kept);
std::string line_of(const EvalTask& task, const worker::OpenAnswers& answers, const std::optional<Kept>& kept);

}  // namespace anchorage::launch
