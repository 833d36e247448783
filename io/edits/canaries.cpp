#include "io/edits/canaries.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"

namespace anchorage::io {
namespace {

Canary canary_of(const Record& record) {
  if (const auto* unreadable = std::get_if<Unreadable>(&record.content)) throw BadRecord(unreadable->reason);
  const auto& content = std::get<nlohmann::json>(record.content);
  if (!content.is_object()) throw BadRecord(fmt::format("{} where an object is expected", kind_of(content)));
  Canary canary{.id = optional_text(content, "id"),
                .prompt = required_prompt(content, "prompt"),
                .answer = optional_text(content, "answer")};
  if (canary.id.empty()) canary.id = record.where;
  return canary;
}

}  // namespace

std::string CanaryLook::text() const {
  return fmt::format("canary '{}' {}: to '{}' the model says '{}', expected '{}'", id,
                     is_broken() ? "broke"
                     : holds     ? "holds"
                                 : "does not hold",
                     prompt, said_after, expected);
}

std::vector<Canary> read_canaries(const std::filesystem::path& path) {
  std::vector<Canary> canaries;
  std::set<std::string> ids;
  for (const Record& record : read_records(path)) {
    try {
      canaries.push_back(canary_of(record));
      if (!ids.insert(canaries.back().id).second)
        throw BadRecord(fmt::format("its id '{}' is that of an earlier one", canaries.back().id));
    } catch (const BadRecord& bad) {
      throw UserError({.expected = "a canary: a 'prompt', and an 'answer' where it must be one",
                       .found = bad.what(),
                       .where = record.where,
                       .remedy = "fix the record or remove it; docs/operations.md shows some"});
    }
  }
  return canaries;
}

}  // namespace anchorage::io
