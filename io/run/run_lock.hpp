// The lock of a run directory: flock on <run>/run.lock, a file that names the holder's host and process id.
// The kernel releases the lock when the process ends, however it ends, so a lock is never stale on a local
// disk.
#pragma once

#include <filesystem>

namespace anchorage::io {

class RunLock {
 public:
  // Throws UserError that names the holder when another process holds the lock; does not wait.
  explicit RunLock(const std::filesystem::path& run_directory);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&& other) noexcept;

  // Says whether releasing the lock also removes its file.
  void remove_file_at_end(bool remove) { removes_file_ = remove; }

 private:
  std::filesystem::path path_;
  int descriptor_;  // owned; -1 when moved from
  bool removes_file_ = false;
};

inline constexpr const char* run_lock_name = "run.lock";

}  // namespace anchorage::io
