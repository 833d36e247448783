// The lock of a run directory: flock on <run>/run.lock, which holds the host and process id of who has it. The
// kernel lets go of it when the process ends, however it ends, so a lock is never stale on a local disk.
#pragma once

#include <filesystem>

namespace anchorage::io {

class RunLock {
 public:
  // UserError that names the holder when another process has it; it does not wait.
  explicit RunLock(const std::filesystem::path& run_directory);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;

  // With the lock its file goes too, or stays.
  void remove_file_at_end(bool remove) { removes_file_ = remove; }

 private:
  std::filesystem::path path_;
  int descriptor_;  // owned; -1 when moved from
  bool removes_file_ = false;
};

inline constexpr const char* run_lock_name = "run.lock";

}  // namespace anchorage::io
