#include "io/evaluation/choice_questions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "io/evaluation/question_records.hpp"
#include "io/text/strict_json.hpp"

namespace anchorage::io {
namespace {

constexpr std::array<std::string_view, 4> letters = {"A", "B", "C", "D"};

// Returns the place of an object's label, which is its number or its name.
std::size_t place_of(const nlohmann::json& record, const char* key, std::span<const std::string_view> names) {
  const auto label = record.find(key);
  if (label == record.end()) throw BadRecord(fmt::format("field '{}' is missing", key));
  if (label->is_number_unsigned() && label->get<std::uint64_t>() < names.size()) return label->get<std::size_t>();
  if (label->is_string()) {
    const auto name = std::ranges::find(names, std::string_view(label->get_ref<const std::string&>()));
    if (name != names.end()) return static_cast<std::size_t>(name - names.begin());
  }
  throw BadRecord(fmt::format("field '{}' holds {}", key, shown(*label)));
}

ChoiceQuestion sentiment_of(const nlohmann::json& record) {
  constexpr std::array<std::string_view, 2> labels = {"negative", "positive"};
  return {.prompt = fmt::format("For each snippet of text,label the sentiment of the text as positive or "
                                "negative.The answer should be exact 'positive' or 'negative'. text: {} answer:",
                                required_text(record, "sentence")),
          .choices = {labels.begin(), labels.end()},
          .answer = place_of(record, "label", labels)};
}

ChoiceQuestion entailment_of(const nlohmann::json& record) {
  constexpr std::array<std::string_view, 2> labels = {"entailment", "not_entailment"};
  return {.prompt = fmt::format("{} entails the {}. True or False? answer:", required_text(record, "sentence1"),
                                required_text(record, "sentence2")),
          .choices = {"True", "False"},
          .answer = place_of(record, "label", labels)};
}

ChoiceQuestion examination_of(const nlohmann::json& record) {
  std::string subject = optional_text(record, "subject");
  std::ranges::replace(subject, '_', ' ');
  std::string prompt =
      subject.empty()
          ? ""
          : fmt::format("The following are multiple choice questions (with answers) about {}.\n\n", subject);
  prompt += required_text(record, "question");
  const auto choices = text_list(record, "choices");
  if (choices.size() != letters.size()) throw BadRecord(fmt::format("{} choices", choices.size()));
  for (std::size_t i = 0; i < letters.size(); ++i) prompt += fmt::format("\n{}. {}", letters[i], choices[i]);
  return {.prompt = prompt + "\nAnswer:",
          .choices = {letters.begin(), letters.end()},
          .answer = place_of(record, "answer", letters)};
}

// Returns the numbers of the examples.
std::vector<std::size_t> balanced(std::span<const ChoiceQuestion> questions, std::size_t shots) {
  std::vector<std::size_t> chosen;
  std::vector<bool> is_chosen(questions.size());
  const auto take_first = [&](auto is_wanted) {
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (is_chosen[i] || !is_wanted(questions[i])) continue;
      is_chosen[i] = true;
      chosen.push_back(i);
      return true;
    }
    return false;
  };
  while (chosen.size() < shots) {
    const std::size_t wanted = chosen.size() % questions.front().choices.size();
    if (!take_first([&](const ChoiceQuestion& question) { return question.answer == wanted; }))
      take_first([](const ChoiceQuestion&) { return true; });
  }
  return chosen;
}

}  // namespace

std::vector<ChoiceQuestion> read_sentiment(const std::filesystem::path& path) {
  return questions_in(path, "'sentence' and 'label', 0 for negative or 1 for positive", sentiment_of);
}

std::vector<ChoiceQuestion> read_nli(const std::filesystem::path& path) {
  return questions_in(path, "'sentence1', 'sentence2' and 'label', 0 for entailment or 1 for not_entailment",
                      entailment_of);
}

std::vector<ChoiceQuestion> read_mmlu(const std::filesystem::path& path) {
  return questions_in(path, "'question', four 'choices' and 'answer', from 0 to 3", examination_of);
}

std::vector<ChoiceQuestion> with_examples(std::span<const ChoiceQuestion> questions, std::size_t shots,
                                          const std::string& where) {
  if (shots >= questions.size()) {
    throw UserError({.expected = fmt::format("more than {} questions, which are the examples", shots),
                     .found = fmt::format("{}", questions.size()),
                     .where = where,
                     .remedy = "take fewer --shots"});
  }
  const auto examples = balanced(questions, shots);
  std::string before;
  for (const std::size_t example : examples) {
    const ChoiceQuestion& question = questions[example];
    before += fmt::format("{} {}\n\n", question.prompt, question.choices[question.answer]);
  }
  std::vector<ChoiceQuestion> others;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    if (std::ranges::count(examples, i) > 0) continue;
    others.push_back(questions[i]);
    others.back().prompt.insert(0, before);
  }
  return others;
}

}  // namespace anchorage::io
