// The index of a journal: what its segments say of themselves, in one file beside the checkpoints, so that a run of
// many segments resumes without reading them. It is a cache: without it, or from where it is damaged or of another
// journal, segments are read.
//
// A text file of lines (docs/formats.md, "The index of the journal"), which grows by blocks. Every block ends with
// a seal, "anchorage sha256 <digest of all bytes before it>", so a block that was cut off or altered is found, and
// what comes before it can be used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/files/digest.hpp"
#include "io/files/mapped_file.hpp"
#include "io/files/sealed_file.hpp"
#include "io/run/journal/segment.hpp"
#include "io/run/journal/segment_summary.hpp"

namespace anchorage::io {

// What identifies a segment's file.
struct IndexedSegment {
  StatedSeal seal;
  std::string digest;  // SHA-256 of the file
  SegmentHeader header;

  bool operator==(const IndexedSegment&) const = default;
};

class JournalIndex {
 public:
  // Reads what is sound of the file, which may be missing.
  explicit JournalIndex(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  // Says what is wrong with the file, and which segments it can therefore not describe; empty where nothing is.
  const std::string& diagnostic() const { return diagnostic_; }

  std::int64_t size() const { return std::ssize(segments_); }  // segments that it describes, from 0 on
  IndexedSegment segment(std::int64_t number) const;
  SegmentSummary summary(std::int64_t number) const;
  bool has_anchors(std::int64_t number) const;

  // Forgets the segments from `count` on, for which the diagnostic gives the reason.
  void keep(std::int64_t count, const std::string& reason);
  // Adds the next segment; `save` writes it.
  void add(const IndexedSegment& segment, const SegmentSummary& summary);

  // Appends to the file what was added, durably; replaces the file where its end was of no use. Throws SystemError
  // when the disk refuses. The caller must hold the run's lock.
  void save();

 private:
  // The two lines of a segment, with their line feeds, in the mapped file or in `added_`.
  struct Lines {
    std::string_view header, content;
  };

  void read();
  void replace_file();  // by one of a single block

  std::filesystem::path path_;
  std::optional<MappedFile> file_;
  std::vector<Lines> segments_;
  std::vector<std::unique_ptr<std::string>> added_;  // strings that do not move
  std::size_t saved_ = 0;                            // segments that the file has
  bool must_replace_ = true;                         // nothing can be appended to the file as it is
  Sha256 digest_;                                    // of the file's bytes, where it can be appended to
  std::string diagnostic_;
};

}  // namespace anchorage::io
