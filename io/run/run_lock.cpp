#include "io/run/run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "io/error.hpp"
#include "io/host_name.hpp"

namespace anchorage::io {
namespace {

std::string holder_of(const std::filesystem::path& path) {
  std::string holder;
  std::getline(std::ifstream(path) >> std::ws, holder);
  return holder.empty() ? "another process" : holder;
}

[[noreturn]] void refuse_lock(int error, const std::filesystem::path& path) {
  if (error != EWOULDBLOCK) throw SystemError::from_errno(error, "lock the run directory", path.string());
  throw UserError({.expected = "a run directory that no other job uses",
                   .found = "one in use by " + holder_of(path),
                   .where = path.parent_path().string(),
                   .remedy = "wait for that job or stop it; if it surely does not run any more, remove run.lock"});
}

// Whether the path still names the locked file: its earlier holder may have removed the file between our
// opening and locking it.
bool names_file(const std::filesystem::path& path, int descriptor) {
  struct stat named = {}, opened = {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &opened) == 0 && named.st_ino == opened.st_ino &&
         named.st_dev == opened.st_dev;
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& run_directory) : path_(run_directory / run_lock_name) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw SystemError::from_errno(errno, "open the lock", path_.string());
  const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0;
  if (!locked || !names_file(path_, descriptor_)) {
    const int error = locked ? EWOULDBLOCK : errno;
    ::close(descriptor_);
    refuse_lock(error, path_);
  }
  const std::string holder = fmt::format("host {}, pid {}\n", host_name(), ::getpid());
  const bool written = ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, holder.data(), holder.size(), 0) ==
                                                               static_cast<ssize_t>(holder.size());
  if (written) return;
  const int error = errno;
  ::close(descriptor_);
  throw SystemError::from_errno(error, "write the lock", path_.string());
}

RunLock::~RunLock() {
  if (descriptor_ < 0) return;
  if (removes_file_) ::unlink(path_.c_str());  // while the lock is held, so it removes this file
  ::close(descriptor_);
}

RunLock::RunLock(RunLock&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      removes_file_(other.removes_file_) {}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(removes_file_, other.removes_file_);
  return *this;
}

}  // namespace anchorage::io
