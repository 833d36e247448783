// A file system with little space, to see what a full disk does: a tmpfs, where the test may mount one.
#pragma once

#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temporary_directory.hpp"

namespace anchorage::tests {

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    if (::mount("tmpfs", directory_.path().c_str(), "tmpfs", 0, ("size=" + size).c_str()) != 0) {
      refusal_ = std::string("mounting a tmpfs: ") + std::strerror(errno);
    }
  }
  ~SmallDisk() {
    if (refusal_.empty()) ::umount2(directory_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Why there is no such disk; empty where there is.
  const std::string& refusal() const { return refusal_; }
  const std::filesystem::path& path() const { return directory_.path(); }

  // With other options: "ro", or another "size=1m". Why not; empty where it was done.
  std::string remount(const std::string& options) const {
    const bool read_only = options == "ro";
    const unsigned long flags = MS_REMOUNT | (read_only ? static_cast<unsigned long>(MS_RDONLY) : 0UL);
    const int result = ::mount("tmpfs", path().c_str(), "tmpfs", flags, read_only ? nullptr : options.c_str());
    return result == 0 ? "" : std::string("remounting a tmpfs: ") + std::strerror(errno);
  }

  // Leaves `bytes` free.
  void fill_up_to(std::uintmax_t bytes) const {
    const std::uintmax_t available = std::filesystem::space(path()).available;
    if (available <= bytes) return;
    std::ofstream(path() / "filler", std::ios::binary) << std::string(available - bytes, 'x');
  }
  void make_room() const { std::filesystem::remove(path() / "filler"); }

 private:
  TemporaryDirectory directory_;
  std::string refusal_;
};

}  // namespace anchorage::tests
