// A directory that appears whole or not at all.
#pragma once

#include <filesystem>
#include <string_view>

namespace anchorage::io {

// The directory being filled, `target` + `suffix` beside it: it is renamed to its target at the end, or removed.
class StagingDirectory {
 public:
  static constexpr std::string_view suffix = ".partial";

  // `source` is where the content comes from. Throws UserError where `target` lies in it, is a file or a directory
  // with files in it, or an earlier one of this name was not finished; SystemError where the disk refuses.
  StagingDirectory(const std::filesystem::path& target, const std::filesystem::path& source);
  ~StagingDirectory();
  StagingDirectory(const StagingDirectory&) = delete;
  StagingDirectory& operator=(const StagingDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& target() const { return target_; }  // without links, dots and a trailing slash

  // Gives the directory its final name; once it returns, it survives a power cut.
  void rename_to_target();

 private:
  std::filesystem::path target_;
  std::filesystem::path path_;
  bool renamed_ = false;
};

// Creates a directory and its missing parents. Throws SystemError.
void make_directories(const std::filesystem::path& path);

}  // namespace anchorage::io
