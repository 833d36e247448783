#include "io/run/journal/journal.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"

namespace anchorage::io {
namespace {

// Returns the number in "seg-00000012.h5"; nothing for other names.
std::optional<std::int64_t> segment_number(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  std::int64_t number = 0;
  const auto digits = name.starts_with("seg-") ? name.substr(4, 8) : std::string();
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || number < 0 || name != segment_file_name(number)) return std::nullopt;
  return number;
}

std::vector<std::int64_t> segment_numbers(const std::filesystem::path& directory) {
  std::vector<std::int64_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (const auto number = segment_number(entry.path())) numbers.push_back(*number);
  }
  if (error) throw SystemError::from_errno(error.value(), "list the journal", directory.string());
  std::ranges::sort(numbers);
  return numbers;
}

void require_no_gap(const std::vector<std::int64_t>& numbers, const std::filesystem::path& directory) {
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] == static_cast<std::int64_t>(i)) continue;
    throw UserError(
        {.expected = segment_file_name(static_cast<std::int64_t>(i)),
         .found = fmt::format("only later segments, {} the first of them", segment_file_name(numbers[i])),
         .where = directory.string(),
         .remedy = "put the missing file back from a copy; without one, move the later segments away and go "
                   "on from the batch before with --resume"});
  }
}

void require_successor(const SegmentHeader& header, const std::vector<JournalEntry>& before,
                       const std::filesystem::path& path) {
  const auto number = static_cast<std::int64_t>(before.size());
  if (header.batch != number) {
    throw UserError({.expected = fmt::format("segment {}", number),
                     .found = fmt::format("segment {} under this name", header.batch),
                     .where = path.string(),
                     .remedy = "segments were renamed: give each file the name of its own number"});
  }
  const std::string previous = before.empty() ? "" : before.back().digest;
  if (header.previous == previous) return;
  const std::string name = before.empty() ? "nothing" : before.back().path.filename().string();
  throw UserError({.expected = fmt::format("the segment that follows {} (SHA-256 '{:.12}')", name, previous),
                   .found = fmt::format("one that follows another file ('{:.12}')", header.previous),
                   .where = path.string(),
                   .remedy = "one of the two comes from another run or another time: put back both from one copy"});
}

JournalEntry read_entry(const std::filesystem::path& path) {
  std::string digest = verify_segment(path);
  return {.path = path, .digest = std::move(digest), .header = SegmentReader(path).header()};
}

}  // namespace

Journal::Journal(std::filesystem::path directory, JournalAccess access)
    : directory_(std::move(directory)), access_(access) {}

Journal Journal::open(const std::filesystem::path& directory, JournalAccess access) {
  if (access == JournalAccess::append) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) throw SystemError::from_errno(error.value(), "create the journal", directory.string());
    remove_leftovers(directory);
  }
  Journal journal(directory, access);
  const std::vector<std::int64_t> numbers = segment_numbers(directory);
  require_no_gap(numbers, directory);
  for (const std::int64_t number : numbers) {
    JournalEntry entry = read_entry(directory / segment_file_name(number));
    require_successor(entry.header, journal.entries_, entry.path);
    journal.entries_.push_back(std::move(entry));
  }
  return journal;
}

const JournalEntry& Journal::last() const {
  check(!entries_.empty(), "the last segment of an empty journal");
  return entries_.back();
}

const JournalEntry& Journal::append(BatchSegment segment) {
  check(access_ == JournalAccess::append, "a segment for a journal that is open for reading");
  const auto next = static_cast<std::int64_t>(entries_.size());
  check(segment.header.batch == next, fmt::format("segment {} where {} is the next", segment.header.batch, next));
  check((next == 0) == (segment.header.kind == SegmentKind::base), "the first segment and no other is the base");
  segment.header.previous = empty() ? "" : last().digest;
  std::string digest = write_segment(directory_, segment);
  entries_.push_back({.path = directory_ / segment_file_name(next),
                      .digest = std::move(digest),
                      .header = std::move(segment.header)});
  return last();
}

}  // namespace anchorage::io
