#include "io/run/journal/live_segments.hpp"

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::io {

std::vector<JournalEntry> live_segments(const Journal& journal, std::int64_t number) {
  check(number >= 0 && number < std::ssize(journal.list()), fmt::format("segment {} of a journal", number));
  std::vector<JournalEntry> live;
  while (number > 0) {
    const JournalEntry& entry = journal.list()[static_cast<std::size_t>(number)];
    if (entry.header.rollback_to) {
      number = *entry.header.rollback_to;
      continue;
    }
    live.push_back(entry);
    --number;
  }
  std::ranges::reverse(live);
  return live;
}

std::vector<JournalEntry> live_segments(const Journal& journal) {
  return journal.empty() ? std::vector<JournalEntry>() : live_segments(journal, std::ssize(journal.list()) - 1);
}

}  // namespace anchorage::io
