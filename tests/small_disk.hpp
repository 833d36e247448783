// A file system with little space, to see what a full disk does: a tmpfs, where the test may mount one.
#pragma once

#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/temporary_directory.hpp"

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
