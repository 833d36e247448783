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

// Makes the index's entry for a segment whose file is sound.
IndexedSegment indexed(const JournalEntry& entry) {
  const auto seal = stated_seal(entry.path);
  check(seal.has_value(), "a committed segment without its seal: " + entry.path.string());
  return {.seal = *seal, .digest = entry.digest, .header = entry.header};
}

}  // namespace

Journal::Journal(std::filesystem::path directory, JournalAccess access)
    : directory_(std::move(directory)), access_(access) {}

Journal Journal::open(const std::filesystem::path& directory, JournalAccess access) {
  return open_with(directory, access, nullptr);
}

Journal Journal::open(const std::filesystem::path& directory, JournalAccess access,
                      const std::filesystem::path& index) {
  return open_with(directory, access, &index);
}

Journal Journal::open_with(const std::filesystem::path& directory, JournalAccess access,
                           const std::filesystem::path* index) {
  if (access == JournalAccess::append) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) throw SystemError::from_errno(error.value(), "create the journal", directory.string());
    remove_leftovers(directory);
  }
  Journal journal(directory, access);
  const std::vector<std::int64_t> numbers = segment_numbers(directory);
  require_no_gap(numbers, directory);
  if (index) {
    journal.index_.emplace(*index);
    journal.take_from_index(std::ssize(numbers));
  }
  journal.read_segments(std::ssize(numbers));
  return journal;
}

// The last one's digest, which the next segment will carry, is that of the whole chain: it is computed.
void Journal::take_from_index(std::int64_t segments) {
  const auto described = std::min(index_->size(), segments);
  for (std::int64_t number = 0; number < described; ++number) {
    const auto path = directory_ / segment_file_name(number);
    IndexedSegment known = index_->segment(number);
    if (stated_seal(path) != known.seal) break;
    entries_.push_back({.path = path, .digest = std::move(known.digest), .header = std::move(known.header)});
  }
  const auto taken = std::ssize(entries_);
  if (taken < described) {
    index_->keep(taken, fmt::format("segment {} is another one than it describes", taken));
  } else if (taken < index_->size()) {
    index_->keep(taken, "it describes segments that the journal does not have");
  }
  if (taken == 0) return;
  proven_.resize(entries_.size());
  require_sound(0);
  if (verify_segment(last().path) == last().digest) {
    proven_.back() = true;
  } else {
    entries_.clear();
    proven_.clear();
    index_->keep(0, "it gives other digests than its segments have");
  }
}

void Journal::read_segments(std::int64_t segments) {
  for (auto number = static_cast<std::int64_t>(entries_.size()); number < segments; ++number) {
    const auto path = directory_ / segment_file_name(number);
    std::string digest = verify_segment(path);
    const SegmentReader segment(path);
    JournalEntry entry{.path = path, .digest = std::move(digest), .header = segment.header()};
    require_successor(entry.header, entries_, path);
    if (index_) index_->add(indexed(entry), summary_of(segment, path.string()));
    entries_.push_back(std::move(entry));
  }
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
  entries_.push_back(
      {.path = directory_ / segment_file_name(next), .digest = std::move(digest), .header = segment.header});
  if (index_) index_->add(indexed(last()), summary_of(segment, last().path.string()));
  return last();
}

SegmentSummary Journal::summary(std::int64_t number) const {
  if (index_) return index_->summary(number);
  const auto& path = entries_.at(static_cast<std::size_t>(number)).path;
  return summary_of(SegmentReader(path), path.string());
}

bool Journal::has_anchors(std::int64_t number) const {
  if (index_) return index_->has_anchors(number);
  return !SegmentReader(entries_.at(static_cast<std::size_t>(number)).path).anchor_layers().empty();
}

void Journal::require_sound(std::int64_t number) {
  const auto place = static_cast<std::size_t>(number);
  if (place >= proven_.size() || proven_[place]) return;
  verify_segment(entries_.at(place).path);
  proven_[place] = true;
}

std::optional<DamagedIndex> Journal::damaged_index() const {
  if (!index_ || index_->diagnostic().empty()) return std::nullopt;
  return DamagedIndex{.path = index_->path(), .diagnostic = index_->diagnostic()};
}

void Journal::save_index() {
  check(access_ == JournalAccess::append, "an index written for a journal that is open for reading");
  if (index_) index_->save();
}

}  // namespace anchorage::io
