#include "io/files/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

std::filesystem::path directory_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

std::filesystem::path next_temporary_path(const std::filesystem::path& path) {
  static std::atomic<int> count = 0;
  return directory_of(path) / fmt::format(".{}.{}-{}.tmp", path.filename().string(), ::getpid(), count++);
}

// Returns false when `to` exists. Where the file system cannot rename exclusively, the caller's lock on the
// directory keeps others out between the check and the rename.
bool rename_exclusively(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EINVAL && errno != ENOSYS)
    throw SystemError::from_errno(errno, "rename the finished file", to.string());
  if (std::filesystem::exists(to)) return false;
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw SystemError::from_errno(errno, "rename the finished file", to.string());
  }
  return true;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path, IfExists if_exists)
    : path_(std::move(path)), if_exists_(if_exists) {
  // A name that exists was left by a killed process with the same process id, maybe on another host.
  do {
    temporary_path_ = next_temporary_path(path_);
    descriptor_ = ::open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) throw SystemError::from_errno(errno, "create a file for writing", path_.string());
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_path_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  check(descriptor_ >= 0, "write to a committed file");
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw SystemError::from_errno(errno, "write", path_.string());
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit() {
  check(descriptor_ >= 0, "second commit of a file");
  if (::fsync(descriptor_) != 0) throw SystemError::from_errno(errno, "fsync", path_.string());
  if (if_exists_ == IfExists::refuse) {
    check(rename_exclusively(temporary_path_, path_), "a file that must be new exists: " + path_.string());
  } else if (::rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    throw SystemError::from_errno(errno, "rename the finished file", path_.string());
  }
  ::close(std::exchange(descriptor_, -1));  // cannot fail in a way that matters after fsync
  sync_directory(directory_of(path_));
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces) {
  AtomicFile file(path);
  for (const std::span<const std::byte> piece : pieces) file.write(piece);
  file.commit();
}

void sync_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw SystemError::from_errno(errno, "open the directory", directory.string());
  const int failure = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some network file systems refuse to fsync a directory: their renames are durable by themselves.
  if (failure != 0 && failure != EINVAL) throw SystemError::from_errno(failure, "fsync", directory.string());
}

bool is_temporary(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.starts_with('.') && name.ends_with(".tmp");
}

void remove_leftovers(const std::filesystem::path& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (!is_temporary(entry.path())) continue;
    std::filesystem::remove(entry.path(), error);
    if (error) throw SystemError::from_errno(error.value(), "remove a left-over file", entry.path().string());
  }
  if (error) throw SystemError::from_errno(error.value(), "list", directory.string());
}

}  // namespace anchorage::io
