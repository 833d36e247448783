// git-lfs keeps large files elsewhere: a repository that was cloned without it has a few lines of text in their
// place.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace anchorage::io {

// Throws UserError, which says how to get the file, where this content is such a pointer. `where` names the file.
void refuse_lfs_pointer(std::string_view content, const std::string& where);

// The same for a file that another library will read. Nothing happens where it cannot be read.
void refuse_lfs_pointer(const std::filesystem::path& path);

}  // namespace anchorage::io
