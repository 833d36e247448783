#include "io/gathered_write.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

// The temporary file: gone again unless it was renamed.
class PartialFile {
 public:
  explicit PartialFile(std::string path)
      : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) throw SystemError::from_errno(errno, "create a file", path_);
  }
  ~PartialFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
    if (!renamed_) ::unlink(path_.c_str());
  }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw SystemError::from_errno(errno, "write", path_);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  void rename_to(const std::string& target) {
    if (::fsync(descriptor_) != 0) throw SystemError::from_errno(errno, "sync a file", path_);
    if (::close(std::exchange(descriptor_, -1)) != 0) throw SystemError::from_errno(errno, "close a file", path_);
    if (::rename(path_.c_str(), target.c_str()) != 0) throw SystemError::from_errno(errno, "rename a file", target);
    renamed_ = true;
  }

 private:
  std::string path_;
  int descriptor_;
  bool renamed_ = false;
};

}  // namespace

void write_gathered(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces) {
  PartialFile file(path.string() + ".partial");
  for (const std::span<const std::byte> piece : pieces) file.write(piece);
  file.rename_to(path.string());
}

}  // namespace anchorage::io
