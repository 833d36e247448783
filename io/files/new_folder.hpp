// Creates a folder for something that may never begin, and removes it unless it is kept.
#pragma once

#include <filesystem>
#include <vector>

namespace anchorage::io {

// Creates the folder and its missing parents. The destructor removes the files that were announced and the folders
// that it created, as far as they are empty, unless `keep` was called; a folder that existed before stays.
class NewFolder {
 public:
  NewFolder() = default;
  explicit NewFolder(const std::filesystem::path& path);  // SystemError where it cannot be created
  ~NewFolder();
  NewFolder(NewFolder&& other) noexcept;
  NewFolder& operator=(NewFolder&& other) noexcept;

  // Announces a file that is of no use without what the folder is for.
  void add_file(const std::filesystem::path& path) { files_.push_back(path); }
  void keep() {
    made_.clear();
    files_.clear();
  }

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<std::filesystem::path> made_;  // the innermost first
};

}  // namespace anchorage::io
