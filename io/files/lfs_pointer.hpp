// Recognizes the pointers of git-lfs: a repository that was cloned without git-lfs has a few lines of text in
// place of each large file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace anchorage::io {

// Throws UserError that says how to get the file where `content` is such a pointer. `where` names the file.
void refuse_lfs_pointer(std::string_view content, const std::string& where);

// Checks a file that another library will read. Does nothing where the file cannot be read.
void refuse_lfs_pointer(const std::filesystem::path& path);

}  // namespace anchorage::io
