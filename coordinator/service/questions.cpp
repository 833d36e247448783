#include "coordinator/service/questions.hpp"

#include <fmt/format.h>

#include "coordinator/json_text.hpp"
#include "coordinator/service/exchange.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t most_prompts = 64;  // of one question, which a batch has to wait for
constexpr std::int64_t most_new_tokens = 256;
constexpr std::size_t most_question_bytes = 32 << 10;

// The texts of a question go through the model as rows of few passes.
void require_short(const std::vector<std::string>& texts, const std::vector<std::string>& more = {}) {
  std::size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  for (const std::string& text : more) bytes += text.size();
  if (bytes > most_question_bytes)
    refuse_body(fmt::format("texts of at most {} bytes together", most_question_bytes));
}

}  // namespace

sharding::ContinuePrompts continuation_in(const json& body) {
  sharding::ContinuePrompts question{.max_new_tokens = 24};
  if (!body.is_object() || !body.contains("prompts") || !body["prompts"].is_array())
    refuse_body("an object with a list 'prompts'");
  for (const json& prompt : body["prompts"]) {
    if (!prompt.is_string()) refuse_body("'prompts' as a list of texts");
    question.prompts.push_back(prompt);
  }
  if (question.prompts.empty() || question.prompts.size() > most_prompts)
    refuse_body(fmt::format("1 to {} prompts", most_prompts));
  require_short(question.prompts);
  if (!body.contains("max_new_tokens")) return question;
  const json& tokens = body["max_new_tokens"];
  if (!tokens.is_number_integer() || tokens < 1 || tokens > most_new_tokens)
    refuse_body(fmt::format("'max_new_tokens' from 1 to {}", most_new_tokens));
  question.max_new_tokens = tokens;
  return question;
}

sharding::ScoreTexts scores_in(const json& body) {
  sharding::ScoreTexts question;
  if (!body.is_object() || !body.contains("requests") || !body["requests"].is_array())
    refuse_body("an object with a list 'requests'");
  for (const json& request : body["requests"]) {
    question.prompts.push_back(text_in(request, "prompt"));
    question.completions.push_back(text_in(request, "completion"));
  }
  if (question.prompts.empty() || question.prompts.size() > most_prompts)
    refuse_body(fmt::format("1 to {} requests", most_prompts));
  require_short(question.prompts, question.completions);
  return question;
}

HttpResponse response_of(const sharding::PromptsContinued& continued) {
  auto texts = ordered_json::array();
  for (const auto& [edited, base, obstacle] : continued.texts) {
    texts.push_back({{"edited", edited}, {"base", base}, {"obstacle", text_or_null(obstacle)}});
  }
  return json_response({{"texts", texts}});
}

HttpResponse response_of(const sharding::TextsScored& scored) {
  auto scores = ordered_json::array();
  for (const auto& [log_probabilities, argmax, obstacle] : scored.scores) {
    scores.push_back({{"logprobs", log_probabilities}, {"argmax", argmax}, {"obstacle", text_or_null(obstacle)}});
  }
  return json_response({{"scores", scores}});
}

}  // namespace anchorage::coordinator
