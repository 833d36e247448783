#include "io/files/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

std::span<const std::byte> map_descriptor(int descriptor, const std::string& path) {
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) throw SystemError::from_errno(errno, "look at a file", path);
  if (!S_ISREG(status.st_mode)) {
    throw UserError({.expected = "a regular file",
                     .found = S_ISDIR(status.st_mode) ? "a directory" : "something else",
                     .where = path,
                     .remedy = "check the path"});
  }
  if (status.st_size == 0) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) throw SystemError::from_errno(errno, "map a file", path);
  return {static_cast<const std::byte*>(address), size};
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // O_NONBLOCK: a pipe without a writer is refused instead of waited for.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    throw UserError({.expected = "a file", .found = "none", .where = path.string(), .remedy = "check the path"});
  }
  if (descriptor < 0) throw SystemError::from_errno(errno, "open a file", path.string());
  try {
    bytes_ = map_descriptor(descriptor, path.string());
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  ::close(descriptor);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace anchorage::io
