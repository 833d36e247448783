#include "io/statistics/subject_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"
#include "io/files/digest.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

constexpr std::size_t templates_per_subject = 2;
constexpr std::array template_fields = {"templates", "prompt_templates", "prompts", "prompt"};
constexpr std::array relation_fields = {"subjects", "samples"};

// Returns the first of the fields that the record has, or "".
std::string_view first_field(const json& record, std::span<const char* const> fields) {
  const auto found = std::ranges::find_if(fields, [&](const char* field) { return record.contains(field); });
  return found == fields.end() ? std::string_view() : *found;
}

// Reads the templates as they stand in the record; at least one.
std::vector<std::string> templates_of(const json& record) {
  const std::string_view field = first_field(record, template_fields);
  if (field.empty()) throw BadRecord("it has none of the fields 'prompt', 'templates' and 'prompt_templates'");
  std::vector<std::string> templates = prompt_list(record, field);
  if (templates.empty()) throw BadRecord(fmt::format("field '{}' is empty", field));
  return templates;
}

// In the template of a relation the subject's place must be marked: there is no subject to look for.
void require_mark(const std::string& text) {
  if (text.find("{}") == text.npos)
    throw BadRecord(fmt::format("template '{}' has no {{}} where the subject goes", text));
}

std::vector<std::string> subjects_of_relation(const json& record, std::string_view field) {
  std::vector<std::string> subjects;
  if (field == "samples") {
    for (const json& sample : entries_of(record.at("samples")))
      subjects.push_back(required_text(sample, "subject"));
  } else {
    subjects = text_list(record, field);
  }
  if (subjects.empty()) throw BadRecord(fmt::format("field '{}' is empty", field));
  return subjects;
}

[[noreturn]] void refuse_line(const std::string& reason, const std::string& where) {
  throw UserError({.expected = "a subject with a prompt, or a relation of templates and subjects",
                   .found = reason,
                   .where = where,
                   .remedy = "see docs/formats.md for lists of subjects"});
}

}  // namespace

bool names_subjects(const json& record) {
  if (!record.is_object()) return false;
  const auto subject = record.find("subject");
  const bool has_subject = subject != record.end() && !subject->is_null() &&
                           !(subject->is_string() && subject->get_ref<const std::string&>().empty());
  return has_subject || !first_field(record, relation_fields).empty();
}

std::vector<SubjectPrompt> subject_prompts_of(const json& record, const std::string& where) {
  if (!record.is_object()) throw BadRecord(fmt::format("{} where an object is expected", kind_of(record)));
  std::vector<SubjectPrompt> prompts;
  const auto add = [&](const std::string& subject, const std::string& text) {
    prompts.push_back({.subject = subject, .prompt = template_of(text, subject), .where = where});
  };
  const std::string_view relation = first_field(record, relation_fields);
  if (relation.empty()) {
    const std::string subject = required_text(record, "subject");
    for (const std::string& text : templates_of(record)) add(subject, text);
    return prompts;
  }
  const std::vector<std::string> subjects = subjects_of_relation(record, relation);
  const std::vector<std::string> templates = templates_of(record);
  for (const std::string& text : templates) require_mark(text);
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    for (std::size_t j = 0; j < std::min(templates_per_subject, templates.size()); ++j)
      add(subjects[i], templates[(i + j) % templates.size()]);
  }
  return prompts;
}

SubjectList read_subject_list(const std::filesystem::path& path) {
  std::set<std::pair<std::string, std::string>> seen;
  std::vector<SubjectPrompt> prompts;
  for (const Record& record : read_records(path)) {
    if (const auto* unreadable = std::get_if<Unreadable>(&record.content))
      refuse_line(unreadable->reason, record.where);
    try {
      for (SubjectPrompt& one : subject_prompts_of(std::get<json>(record.content), record.where)) {
        if (seen.emplace(one.subject, one.prompt).second) prompts.push_back(std::move(one));
      }
    } catch (const BadRecord& bad) {
      refuse_line(bad.what(), record.where);
    }
  }
  return {.digest = sha256_of_file(path), .prompts = std::move(prompts)};
}

}  // namespace anchorage::io
