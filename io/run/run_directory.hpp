// The directory of a run (formats.md, "Run directory"): what was asked, the journal, caches and the lock.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/files/new_folder.hpp"
#include "io/run/run_lock.hpp"
#include "io/run/run_record.hpp"

namespace anchorage::io {

// A generated prefix that edits are prompted after; kept, so that a run is repeatable.
struct Context {
  std::string text;
  std::vector<std::int64_t> tokens;

  bool operator==(const Context&) const = default;
};

class RunDirectory {
 public:
  // Makes the directory and takes its lock for as long as this object lives. It is no run before `write_record`:
  // where that never comes, the directory is gone with this object, or empty again where it was there. UserError
  // when a run is there already (it says about --resume) or something else is.
  static RunDirectory create(const std::filesystem::path& path);
  // To resume a run: takes its lock. UserError naming the holder's host and pid when another job has it.
  static RunDirectory resume(const std::filesystem::path& path);
  // To look at a run: no lock, nothing may be written.
  static RunDirectory view(const std::filesystem::path& path);

  // Whether `path` looks like a run (it holds a run.yaml): MODEL may be a run wherever a model is read.
  static bool is_run(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path journal() const { return path_ / "journal"; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint"; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  const RunRecord& record() const { return record_; }

  // Writes run.yaml, in the place of what it had before (edits appended, say). Makes a run of a new directory.
  void write_record(const RunRecord& record);

  // Adds one line to metrics.jsonl, durably. `json` is one JSON object without a line break.
  void append_metrics(std::string_view json);

  void write_contexts(const std::vector<Context>& contexts);
  bool has_contexts() const;
  std::vector<Context> read_contexts() const;

 private:
  RunDirectory(std::filesystem::path path, RunRecord record, std::optional<RunLock> lock, NewFolder folder);
  std::filesystem::path path_;
  RunRecord record_;
  NewFolder folder_;             // of a run that has not begun; before the lock, so that it goes after it
  std::optional<RunLock> lock_;  // empty for a view
};

}  // namespace anchorage::io
