#include "worker/evaluation/generated_answers.hpp"

#include <algorithm>

#include "io/evaluation/answer_match.hpp"
#include "io/evaluation/rouge.hpp"
#include "worker/evaluation/continuations.hpp"

namespace anchorage::worker {
namespace {

io::Rouge best_rouge(const std::string& text, std::span<const std::string> accepted) {
  std::vector<io::Rouge> scores;
  for (const std::string& reference : accepted) scores.push_back(io::rouge(text, reference));
  return std::ranges::max(scores, {}, &io::Rouge::mean);
}

std::size_t begin_of_first_line(const std::string& text) {
  return std::min(text.find_first_not_of(" \t\r\n"), text.size());
}

std::string first_line(const std::string& text) {
  const std::size_t begin = begin_of_first_line(text);
  return text.substr(begin, text.find('\n', begin) - begin);
}

// Whether the first line is there to its end.
bool has_first_line(const std::string& text) {
  return text.find('\n', begin_of_first_line(text)) != text.npos;
}

std::vector<double> rouge_of(const std::string& text, std::span<const std::string> accepted) {
  const io::Rouge best = best_rouge(text, accepted);
  return {best.mean(), best.one, best.two, best.longest};
}

std::vector<double> match_of(const std::string& text, std::span<const std::string> accepted) {
  return {io::matches_exactly(text, accepted) ? 1.0 : 0.0, io::contains_answer(text, accepted) ? 1.0 : 0.0};
}

}  // namespace

GenerationTask summarization(std::vector<io::GenerationQuestion> questions) {
  return {.questions = std::move(questions),
          .max_new_tokens = 25,
          .measures = {"rouge", "rouge1", "rouge2", "rougeL"},
          .measured = rouge_of};
}

GenerationTask open_qa(std::vector<io::GenerationQuestion> questions) {
  return {.questions = std::move(questions),
          .max_new_tokens = 20,
          .first_line_only = true,
          .measures = {"exact", "contained"},
          .measured = match_of};
}

GeneratedAnswers ask(const Transformer& model, const PromptBuilder& prompts, const GenerationTask& task,
                     const Communicators& ranks) {
  std::vector<std::string> texts;
  for (const io::GenerationQuestion& question : task.questions) texts.push_back(question.prompt);
  ContinuationOptions options{.max_new_tokens = task.max_new_tokens};
  if (task.first_line_only) options.is_complete = has_first_line;
  GeneratedAnswers answers;
  for (const auto& continuation : continue_greedily(model, prompts, texts, options, ranks)) {
    if (!continuation) {
      answers.texts.emplace_back(std::nullopt);
      continue;
    }
    answers.texts.emplace_back(task.first_line_only ? first_line(continuation->text) : continuation->text);
  }
  if (const auto first = std::ranges::find_if_not(answers.texts, &std::optional<std::string>::has_value);
      first != answers.texts.end()) {
    const std::string& prompt = texts[static_cast<std::size_t>(first - answers.texts.begin())];
    answers.rejection = continuation_obstacle(model, prompts, prompt).value_or("");
  }
  for (const std::string& name : task.measures) answers.measured.push_back({.name = name, .values = {}});
  for (std::size_t i = 0; i < answers.texts.size(); ++i) {
    if (!answers.texts[i]) continue;
    const auto values = task.measured(*answers.texts[i], task.questions[i].accepted);
    for (std::size_t m = 0; m < values.size(); ++m) answers.measured[m].values.push_back(values[m]);
  }
  return answers;
}

}  // namespace anchorage::worker
