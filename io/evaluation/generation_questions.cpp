#include "io/evaluation/generation_questions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "io/evaluation/question_records.hpp"

namespace anchorage::io {
namespace {

// Of ACLSum: {"sentences": {"abstract": [...], ...}, "summary": {"challenge": ..., "approach": ..., "outcome":
// ...}}.
GenerationQuestion paper_of(const nlohmann::json& record) {
  const nlohmann::json& sentences = record["sentences"];
  const auto abstract = text_list(sentences, "abstract");
  if (abstract.empty()) throw BadRecord("no 'sentences' of the 'abstract'");
  GenerationQuestion question{.prompt = fmt::format("{}", fmt::join(abstract, " ")), .accepted = {}};
  for (const char* aspect : {"challenge", "approach", "outcome"})
    question.accepted.push_back(required_text(record["summary"], aspect));
  return question;
}

GenerationQuestion text_question_of(const nlohmann::json& record) {
  const bool is_dialogue = record.is_object() && record.contains("dialogue");
  return {.prompt = required_text(record, is_dialogue ? "dialogue" : "document"),
          .accepted = {required_text(record, "summary")}};
}

GenerationQuestion summary_question_of(const nlohmann::json& record) {
  const bool is_paper = record.is_object() && record.contains("sentences") && record.contains("summary");
  GenerationQuestion question = is_paper ? paper_of(record) : text_question_of(record);
  question.prompt += "\nTL;DR:";
  return question;
}

GenerationQuestion open_question_of(const nlohmann::json& record) {
  GenerationQuestion question{
      .prompt = fmt::format("Please answer the question:\n\nQ: {}\nA:", required_text(record, "question")),
      .accepted = text_list(record, record.contains("answers") ? "answers" : "answer")};
  if (question.accepted.empty()) throw BadRecord("no 'answer'");
  return question;
}

}  // namespace

std::vector<GenerationQuestion> read_summaries(const std::filesystem::path& path) {
  return questions_in(path, "a text to summarize in 'dialogue' or 'document', and 'summary'", summary_question_of);
}

std::vector<GenerationQuestion> read_open_qa(const std::filesystem::path& path) {
  return questions_in(path, "'question', and 'answer' or a list of answers", open_question_of);
}

}  // namespace anchorage::io
