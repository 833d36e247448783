#include "io/evaluation/known_facts.hpp"

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"

namespace anchorage::io {
namespace {

KnownFact known_fact(const Record& record) {
  if (const auto* unreadable = std::get_if<Unreadable>(&record.content)) throw BadRecord(unreadable->reason);
  const auto& fact = std::get<nlohmann::json>(record.content);
  return {.prompt = required_prompt(fact, "prompt"), .attribute = required_text(fact, "attribute")};
}

}  // namespace

std::vector<KnownFact> read_known_facts(const std::filesystem::path& path) {
  std::vector<KnownFact> facts;
  for (const Record& record : read_records(path)) {
    try {
      facts.push_back(known_fact(record));
    } catch (const BadRecord& bad) {
      throw UserError({.expected = "a fact with 'prompt' and 'attribute'",
                       .found = bad.what(),
                       .where = record.where,
                       .remedy = "fix the record or remove it"});
    }
  }
  return facts;
}

}  // namespace anchorage::io
