#include "io/files/appended_text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "io/error.hpp"
#include "io/files/file_descriptor.hpp"

namespace anchorage::io {

void append_durably(const std::filesystem::path& path, std::string_view text) {
  const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (file.get() < 0) throw SystemError::from_errno(errno, "open", path.string());
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  const ssize_t count = ::write(file.get(), text.data(), text.size());
  if (count == static_cast<ssize_t>(text.size()) && ::fsync(file.get()) == 0) return;
  const int error = count >= 0 && count < static_cast<ssize_t>(text.size()) ? ENOSPC : errno;
  static_cast<void>(::ftruncate(file.get(), size) == 0);
  throw SystemError::from_errno(error, "write", path.string());
}

}  // namespace anchorage::io
