// A whole file as bytes, mapped read-only: pages are read when they are touched, and shared between processes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace anchorage::io {

// Errors: UserError where there is no such file or it is not a regular one, SystemError where it cannot be mapped.
// The file must not be shortened while it is mapped: touching bytes past its new end kills the process
// (SIGBUS).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Returns the whole file, valid as long as this object, or the one it was moved to, lives. Empty for an
  // empty file and after a move.
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace anchorage::io
