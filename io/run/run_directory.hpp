// The directory of a run (docs/formats.md, "Run directory"): its inputs, the journal, caches and the lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/files/new_folder.hpp"
#include "io/run/protected_keys.hpp"
#include "io/run/run_lock.hpp"
#include "io/run/run_record.hpp"

namespace anchorage::io {

// A generated prefix of edit prompts, kept so that a run is repeatable.
struct Context {
  std::string text;
  std::vector<std::int64_t> tokens;

  bool operator==(const Context&) const = default;
};

class RunDirectory {
 public:
  // Creates the directory and holds its lock for as long as this object lives. It becomes a run with
  // `write_record`: without that, the destructor removes the directory, or leaves it empty where it existed
  // before. Throws UserError where the directory holds a run already (the message points to --resume) or
  // anything else.
  static RunDirectory create(const std::filesystem::path& path);
  // Opens a run to resume it: takes its lock. Throws UserError naming the holder's host and pid when another
  // job holds it.
  static RunDirectory resume(const std::filesystem::path& path);
  // Opens a run for reading only: takes no lock and must not write.
  static RunDirectory view(const std::filesystem::path& path);

  // Whether `path` looks like a run (it holds a run.yaml); commands that read a model accept a run as MODEL.
  static bool is_run(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path journal() const { return path_ / "journal"; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint"; }
  // What the journal's segments say, in one file (io/run/journal/journal_index.hpp); a cache like the checkpoints.
  std::filesystem::path journal_index() const { return checkpoint() / "journal.index"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path ranks() const { return path_ / "ranks.json"; }
  const RunRecord& record() const { return record_; }

  // Writes run.yaml, replacing the earlier one (after edits were appended, say). Turns a new directory into a
  // run.
  void write_record(const RunRecord& record);

  // Writes the keys of the facts that a new run protects, before its record, which names the SHA-256 of the file
  // that this returns. A run that never begins leaves no such file.
  std::string write_protected_keys(std::int64_t prompts, std::span<const ProtectedLayer> layers);

  // Appends one line to metrics.jsonl, durably. `json` is one JSON object without a line break.
  void append_metrics(std::string_view json);

  void write_contexts(const std::vector<Context>& contexts);
  bool has_contexts() const;
  std::vector<Context> read_contexts() const;

 private:
  RunDirectory(std::filesystem::path path, RunRecord record, std::optional<RunLock> lock, NewFolder folder);
  std::filesystem::path path_;
  RunRecord record_;
  NewFolder folder_;             // of a run that has not begun; destroyed after the lock
  std::optional<RunLock> lock_;  // empty for a view
};

}  // namespace anchorage::io
