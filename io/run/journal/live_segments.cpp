#include "io/run/journal/live_segments.hpp"

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

const JournalEntry& entry_at(const Journal& journal, std::int64_t number) {
  return journal.list()[static_cast<std::size_t>(number)];
}

// Returns those from `first` on of the state after segment `number`.
std::vector<JournalEntry> live_between(const Journal& journal, std::int64_t first, std::int64_t number) {
  std::vector<JournalEntry> live;
  for (number = last_live_segment(journal, number); number >= first && number > 0;
       number = last_live_segment(journal, number - 1)) {
    live.push_back(entry_at(journal, number));
  }
  std::ranges::reverse(live);
  return live;
}

}  // namespace

std::int64_t last_live_segment(const Journal& journal, std::int64_t number) {
  check(number >= 0 && number < std::ssize(journal.list()), fmt::format("segment {} of a journal", number));
  while (const auto to = entry_at(journal, number).header.rollback_to) number = *to;
  return number;
}

std::vector<JournalEntry> live_segments(const Journal& journal, std::int64_t number) {
  return live_between(journal, 0, number);
}

std::vector<JournalEntry> live_segments(const Journal& journal) {
  return live_segments_from(journal, 0);
}

std::vector<JournalEntry> live_segments_from(const Journal& journal, std::int64_t first) {
  if (journal.empty()) return {};
  return live_between(journal, first, std::ssize(journal.list()) - 1);
}

}  // namespace anchorage::io
