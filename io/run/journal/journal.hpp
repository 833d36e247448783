// The journal of a run: the folder of its segments, numbered from 0 without a gap, each with the digest of the one
// before. The base weights and these files alone determine the edited weights.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/run/journal/journal_index.hpp"
#include "io/run/journal/segment.hpp"
#include "io/run/journal/segment_summary.hpp"

namespace anchorage::io {

struct JournalEntry {
  std::filesystem::path path;
  std::string digest;  // SHA-256 of the file
  SegmentHeader header;
};

enum class JournalAccess { read, append };

// An index that cannot be used, or not all of it, and why.
struct DamagedIndex {
  std::filesystem::path path;
  std::string diagnostic;
};

class Journal {
 public:
  // Reads every file once to verify the chain (SHA-256 over all bytes; 31 files of 2.6 MB took 0.13 s).
  // Throws UserError for a missing, altered or foreign segment, which names the file and says what to do.
  // `append` also creates the folder and removes what a killed process left under a temporary name; the
  // caller must hold the run's lock.
  static Journal open(const std::filesystem::path& directory, JournalAccess access = JournalAccess::read);

  // The same, but takes what the index says of the segments that it describes: of each only size and stated seal
  // are compared with the index, and the first and the last of them are read. From the first that differs on, all
  // are read. So a missing, cut off, exchanged or reordered segment is found, a flipped byte within one is not:
  // `require_sound` finds it. The index may be missing; `append` brings it up to date in memory, `save_index` on
  // the disk.
  static Journal open(const std::filesystem::path& directory, JournalAccess access,
                      const std::filesystem::path& index);

  bool empty() const { return entries_.empty(); }
  const std::vector<JournalEntry>& list() const { return entries_; }  // entry i is segment i
  const JournalEntry& last() const;

  // Fills in `previous` and commits the segment. Its number must be the next one, and the first segment must
  // be a base.
  const JournalEntry& append(BatchSegment segment);

  // From the index, or from the segment where the journal was opened without one.
  SegmentSummary summary(std::int64_t number) const;
  bool has_anchors(std::int64_t number) const;

  // Reads the segment in full, unless that was done before. Throws UserError where it is altered.
  void require_sound(std::int64_t number);

  // The index's path, and why it is ignored in part or whole; nothing where there is nothing to say.
  std::optional<DamagedIndex> damaged_index() const;
  // Writes the index, where the journal was opened for appending with one. Throws SystemError when the disk
  // refuses; it may be called again.
  void save_index();

 private:
  Journal(std::filesystem::path directory, JournalAccess access);
  static Journal open_with(const std::filesystem::path& directory, JournalAccess access,
                           const std::filesystem::path* index);
  void take_from_index(std::int64_t segments);
  void read_segments(std::int64_t segments);

  std::filesystem::path directory_;
  JournalAccess access_;
  std::vector<JournalEntry> entries_;
  std::optional<JournalIndex> index_;
  std::vector<bool> proven_;  // of the segments that the index described: whether they were read in full
};

}  // namespace anchorage::io
