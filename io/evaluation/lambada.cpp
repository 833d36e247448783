#include "io/evaluation/lambada.hpp"

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"

namespace anchorage::io {
namespace {

Passage passage_of(const Record& record) {
  if (const auto* unreadable = std::get_if<Unreadable>(&record.content)) throw BadRecord(unreadable->reason);
  const std::string text = required_text(std::get<nlohmann::json>(record.content), "text");
  constexpr auto white_space = " \t\r\n";
  const auto gap = text.find_last_of(white_space);
  if (gap == text.npos) throw BadRecord("a single word");
  return {.beginning = text.substr(0, text.find_last_not_of(white_space, gap) + 1),
          .last_word = text.substr(gap + 1)};
}

}  // namespace

std::vector<Passage> read_lambada(const std::filesystem::path& path) {
  std::vector<Passage> passages;
  for (const Record& record : read_records(path)) {
    try {
      passages.push_back(passage_of(record));
    } catch (const BadRecord& bad) {
      throw UserError({.expected = "a passage of several words in 'text'",
                       .found = bad.what(),
                       .where = record.where,
                       .remedy = "fix the record or remove it"});
    }
  }
  return passages;
}

}  // namespace anchorage::io
