#include "io/edits/fields.hpp"

#include <fmt/format.h>
#include <unicode/unistr.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "io/text/trimmed.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

std::string trimmed_prompt(const std::string& text) {
  const std::size_t first = text.find_first_not_of(white_space_around);
  if (first == std::string::npos) return "";
  std::size_t end = text.find_last_not_of(white_space_around) + 1;
  if (const std::size_t line_break = text.find_last_of('\n'); line_break != text.npos)
    end = std::max(end, line_break + 1);
  return text.substr(first, end - first);
}

const json& field(const json& record, std::string_view key) {
  static const json missing;
  if (!record.is_object()) throw BadRecord(fmt::format("{} where an object is expected", kind_of(record)));
  const auto found = record.find(key);
  return found == record.end() ? missing : *found;
}

std::string raw_text_in(const json& value, std::string_view key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  if (value.is_number()) {
    throw BadRecord(
        fmt::format("field '{}' holds the number {}, of which the digits would not be kept; put it in quotes", key,
                    value.dump()));
  }
  throw BadRecord(fmt::format("field '{}' holds {} where a text is expected", key, kind_of(value)));
}

std::string text_in(const json& value, std::string_view key) {
  return trimmed(raw_text_in(value, key));
}

std::string prompt_in(const json& value, std::string_view key) {
  return trimmed_prompt(raw_text_in(value, key));
}

using Reading = std::string (*)(const json& value, std::string_view key);

std::string first_text_in(const json& value, std::string_view key) {
  const json* first = &value;
  while (first->is_array() && !first->empty()) first = &first->front();
  if (first->is_null() || first->is_array()) return "";
  return text_in(*first, key);
}

void add_texts_in(const json& value, std::string_view key, std::vector<std::string>& texts) {
  if (value.is_null()) return;
  if (value.is_array()) {
    for (const json& entry : value) add_texts_in(entry, key, texts);
    return;
  }
  std::string text = text_in(value, key);
  if (!text.empty() && std::ranges::count(texts, text) == 0) texts.push_back(std::move(text));
}

std::string required(const json& record, std::string_view key, Reading reading) {
  const json& value = field(record, key);
  if (value.is_null()) throw BadRecord(fmt::format("field '{}' is missing", key));
  std::string text = reading(value, key);
  if (text.empty()) throw BadRecord(fmt::format("field '{}' is empty", key));
  return text;
}

std::vector<std::string> listed(const json& record, std::string_view key, Reading reading) {
  const json& value = field(record, key);
  if (value.is_null()) return {};
  std::vector<std::string> texts;
  for (const json& entry : entries_of(value)) {
    std::string text = reading(entry, key);
    if (!text.empty()) texts.push_back(std::move(text));
  }
  return texts;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

bool occurs_in_another_case(const std::string& text, const std::string& part) {
  return icu::UnicodeString::fromUTF8(text).foldCase().indexOf(icu::UnicodeString::fromUTF8(part).foldCase()) >= 0;
}

}  // namespace

std::string_view kind_of(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return "a text";
  if (value.is_number()) return "a number";
  return value.is_boolean() ? "a truth value" : "nothing";
}

std::span<const json> entries_of(const json& value) {
  if (!value.is_array()) return {&value, 1};
  return value.get_ref<const json::array_t&>();
}

std::string required_text(const json& record, std::string_view key) {
  return required(record, key, text_in);
}

std::string required_prompt(const json& record, std::string_view key) {
  return required(record, key, prompt_in);
}

std::optional<std::string> text_as_it_is(const json& record, std::string_view key) {
  const json& value = field(record, key);
  return value.is_null() ? std::nullopt : std::optional(raw_text_in(value, key));
}

std::optional<bool> optional_truth(const json& record, std::string_view key) {
  const json& value = field(record, key);
  if (value.is_null()) return std::nullopt;
  if (value.is_boolean()) return value.get<bool>();
  throw BadRecord(fmt::format("field '{}' holds {} where true or false is expected", key, kind_of(value)));
}

std::string optional_text(const json& record, std::string_view key) {
  return first_text_in(field(record, key), key);
}

std::vector<std::string> text_list(const json& record, std::string_view key) {
  return listed(record, key, text_in);
}

std::vector<std::string> flat_text_list(const json& record, std::string_view key) {
  std::vector<std::string> texts;
  add_texts_in(field(record, key), key, texts);
  return texts;
}

std::vector<std::string> prompt_list(const json& record, std::string_view key) {
  return listed(record, key, prompt_in);
}

std::vector<Neighbor> neighbors(const json& record, std::string_view prompt_key, std::string_view answer_key,
                                const std::string& fallback, Aliases aliases) {
  const json& prompts = field(record, prompt_key);
  const json& answers = field(record, answer_key);
  if (prompts.is_null()) return {};
  std::vector<Neighbor> result;
  const auto add = [&](const json& prompt, const json& given) {
    std::string answer = first_text_in(given, answer_key);
    if (answer.empty()) answer = fallback;
    std::string text = prompt_in(prompt, prompt_key);
    if (text.empty() || answer.empty()) return;
    result.push_back({.prompt = std::move(text), .answer = std::move(answer)});
    if (aliases == Aliases::left_out) return;
    std::vector<std::string>& others = result.back().aliases;
    add_texts_in(given, answer_key, others);
    std::erase(others, result.back().answer);
  };
  // The answers of one prompt in a list of its own may be a flat list of aliases.
  const bool is_one_with_aliases = aliases == Aliases::kept && prompts.is_array() && prompts.size() == 1 &&
                                   answers.is_array() && answers.size() > 1;
  if (!prompts.is_array() || is_one_with_aliases) {
    add(prompts.is_array() ? prompts.front() : prompts, answers);
    return result;
  }
  if (!answers.is_null() && (!answers.is_array() || answers.size() != prompts.size())) {
    throw BadRecord(fmt::format("field '{}' lists {} prompts, but '{}' does not list as many answers", prompt_key,
                                prompts.size(), answer_key));
  }
  for (std::size_t i = 0; i < prompts.size(); ++i) add(prompts[i], answers.is_null() ? answers : answers[i]);
  return result;
}

std::string template_of(const std::string& prompt, const std::string& subject) {
  const std::size_t places = count_of(prompt, "{}");
  if (places == 1) return prompt;
  if (places > 1)
    throw BadRecord(fmt::format("prompt '{}' has {{}} {} times where once is expected", prompt, places));
  const std::size_t occurrences = count_of(prompt, subject);
  if (occurrences == 1) return std::string(prompt).replace(prompt.find(subject), subject.size(), "{}");
  if (occurrences > 1) {
    throw BadRecord(fmt::format("subject '{}' occurs {} times in prompt '{}'; put {{}} where it is meant", subject,
                                occurrences, prompt));
  }
  throw BadRecord(fmt::format("subject '{}' does not occur in prompt '{}'{}", subject, prompt,
                              occurs_in_another_case(prompt, subject) ? ", only in another case" : ""));
}

}  // namespace anchorage::io
