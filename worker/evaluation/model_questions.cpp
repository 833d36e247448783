#include "worker/evaluation/model_questions.hpp"

#include <algorithm>

#include "io/error.hpp"
#include "worker/evaluation/completion.hpp"
#include "worker/evaluation/continuations.hpp"
#include "worker/evaluation/score.hpp"

namespace anchorage::worker {
namespace {

constexpr std::size_t scores_per_pass = 8;
const std::string no_prefix;  // a completion is taken as it stands

}  // namespace

sharding::PromptsContinued ModelQuestions::continued(const sharding::ContinuePrompts& question) const {
  const auto texts =
      continue_greedily(model_, prompts_, question.prompts, {.max_new_tokens = question.max_new_tokens}, ranks_);
  sharding::PromptsContinued continued;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto& one = continued.texts.emplace_back();
    if (texts[i]) {
      one.edited = texts[i]->text;
    } else {
      one.obstacle =
          continuation_obstacle(model_, prompts_, question.prompts[i]).value_or("it cannot be continued");
    }
  }
  return continued;
}

sharding::TextsScored ModelQuestions::scored(const sharding::ScoreTexts& question) const {
  io::check(question.prompts.size() == question.completions.size(), "a completion for each prompt");
  std::vector<Completion> completions;
  for (std::size_t i = 0; i < question.prompts.size(); ++i)
    completions.push_back(completion_of(prompts_, question.prompts[i], question.completions[i], no_prefix));
  sharding::TextsScored scored;
  std::vector<CompletionScore> scores;
  for (std::size_t begin = 0; begin < completions.size(); begin += scores_per_pass) {
    const std::size_t count = std::min(scores_per_pass, completions.size() - begin);
    const auto some = PendingScores::where_possible(model_, std::span(completions).subspan(begin, count)).take();
    scores.insert(scores.end(), some.begin(), some.end());
  }
  for (const CompletionScore& score : scores) {
    auto& one = scored.scores.emplace_back(
        sharding::TextsScored::Score{.log_probabilities = score.log_probabilities, .argmax = score.all_argmax()});
    if (score.is_scored()) continue;
    const std::size_t place = scored.scores.size() - 1;
    one.obstacle = rejection_of(model_, prompts_, question.prompts[place], question.completions[place], no_prefix)
                       .value_or("it cannot be scored");
  }
  return scored;
}

}  // namespace anchorage::worker
