// A folder that is made for something which may never begin.
#pragma once

#include <filesystem>
#include <vector>

namespace anchorage::io {

// Makes the folder, with those that it lies in. What it made is removed with this object, as far as it is empty,
// unless it is kept; a folder that was there stays.
class NewFolder {
 public:
  NewFolder() = default;
  explicit NewFolder(const std::filesystem::path& path);  // SystemError where it cannot be made
  ~NewFolder();
  NewFolder(NewFolder&& other) noexcept;
  NewFolder& operator=(NewFolder&& other) noexcept;

  void keep() { made_.clear(); }

 private:
  std::vector<std::filesystem::path> made_;  // the innermost first
};

}  // namespace anchorage::io
