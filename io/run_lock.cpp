#include "io/run_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <utility>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

std::string holder_of(const std::filesystem::path& path) {
  std::string holder;
  std::getline(std::ifstream(path) >> std::ws, holder);
  return holder.empty() ? "another process" : holder;
}

[[noreturn]] void refuse(int error, const std::filesystem::path& path) {
  if (error != EWOULDBLOCK) throw SystemError::from_errno(error, "lock the run directory", path.string());
  throw UserError({.expected = "a run directory that no other job uses",
                   .found = "one in use by " + holder_of(path),
                   .where = path.parent_path().string(),
                   .remedy = "wait for that job or stop it; if it surely does not run any more, remove run.lock"});
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& run_directory) {
  const std::filesystem::path path = run_directory / run_lock_name;
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw SystemError::from_errno(errno, "open the lock", path.string());
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(descriptor_);
    refuse(error, path);
  }
  const std::string holder = fmt::format("host {}, pid {}\n", host_name(), ::getpid());
  const bool written = ::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, holder.data(), holder.size(), 0) ==
                                                               static_cast<ssize_t>(holder.size());
  if (written) return;
  const int error = errno;
  ::close(descriptor_);
  throw SystemError::from_errno(error, "write the lock", path.string());
}

RunLock::~RunLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RunLock::RunLock(RunLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

RunLock& RunLock::operator=(RunLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

}  // namespace anchorage::io
