// What a service has accepted for a run, on the disk before it is answered: RUN/inbox.jsonl (docs/formats.md).
//
// A line is one of
//   {"edit": {...}}           an edit, in the native form; again where it was approved, or has another target
//   {"withdraw": "ID"}       it is not to be in the weights: not written, or removed again
// and later lines count. A killed process may leave half a line at the end, which nobody was answered for.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"

namespace anchorage::io {

// Where a run has it.
std::filesystem::path inbox_of(const std::filesystem::path& run);

class Inbox {
 public:
  // Reads what is there; nothing where there is no file. With `append`, the caller holds the run's lock, and half a
  // line at the end is cut off. Throws UserError for a line that is none of these.
  enum class Access { read, append };
  explicit Inbox(std::filesystem::path path, Access access = Access::read);

  // The edits in the order in which they came, without those that were withdrawn.
  std::vector<Edit> edits() const;
  const std::vector<Edit>& all_edits() const { return edits_; }          // also those
  const std::set<std::string>& withdrawn() const { return withdrawn_; }  // ids

  // Write durably. Throw SystemError where the disk refuses; the inbox is then as it was. An edit that is added
  // again comes last, and is no longer withdrawn.
  void add(std::span<const Edit> edits);
  void withdraw(std::span<const std::string> ids);

 private:
  void take(const std::string& line, const std::string& where);
  void put(const Edit& edit);
  void write(const std::string& lines);

  std::filesystem::path path_;
  std::vector<Edit> edits_;                  // also those that were withdrawn
  std::set<std::string> known_, withdrawn_;  // ids
};

}  // namespace anchorage::io
