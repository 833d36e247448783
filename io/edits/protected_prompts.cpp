#include "io/edits/protected_prompts.hpp"

#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <variant>

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/statistics/subject_list.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

std::vector<ProtectedPrompt> prompts_of(const Record& record) {
  if (const auto* unreadable = std::get_if<Unreadable>(&record.content)) throw BadRecord(unreadable->reason);
  const json& content = std::get<json>(record.content);
  std::vector<ProtectedPrompt> prompts;
  if (names_subjects(content)) {
    for (SubjectPrompt& one : subject_prompts_of(content, record.where))
      prompts.push_back(
          {.subject = std::move(one.subject), .prompt = std::move(one.prompt), .where = record.where});
    return prompts;
  }
  if (!content.is_object()) throw BadRecord(fmt::format("{} where an object is expected", kind_of(content)));
  for (std::string& text : prompt_list(content, "prompt"))
    prompts.push_back({.prompt = std::move(text), .where = record.where});
  if (prompts.empty()) throw BadRecord("it has no 'prompt'");
  return prompts;
}

}  // namespace

ProtectedPrompts read_protected_prompts(const std::filesystem::path& path) {
  std::set<std::pair<std::string, std::string>> seen;
  ProtectedPrompts all;
  for (const Record& record : read_records(path)) {
    try {
      for (ProtectedPrompt& one : prompts_of(record)) {
        if (seen.emplace(one.subject, one.prompt).second) all.prompts.push_back(std::move(one));
      }
    } catch (const BadRecord& bad) {
      throw UserError({.expected = "a fact to protect: a 'prompt', or a 'subject' with its 'prompt'",
                       .found = bad.what(),
                       .where = record.where,
                       .remedy = "fix the record or remove it; see docs/formats.md for protected facts"});
    }
  }
  all.digest = sha256_of_file(path);
  return all;
}

}  // namespace anchorage::io
