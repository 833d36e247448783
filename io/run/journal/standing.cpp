#include "io/run/journal/standing.hpp"

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::io {

std::vector<JournalEntry> standing_segments(const Journal& journal, std::int64_t number) {
  check(number >= 0 && number < std::ssize(journal.list()), fmt::format("segment {} of a journal", number));
  std::vector<JournalEntry> standing;
  while (number > 0) {
    const JournalEntry& entry = journal.list()[static_cast<std::size_t>(number)];
    if (entry.header.rollback_to) {
      number = *entry.header.rollback_to;
      continue;
    }
    standing.push_back(entry);
    --number;
  }
  std::ranges::reverse(standing);
  return standing;
}

std::vector<JournalEntry> standing_segments(const Journal& journal) {
  return journal.empty() ? std::vector<JournalEntry>() : standing_segments(journal, std::ssize(journal.list()) - 1);
}

}  // namespace anchorage::io
