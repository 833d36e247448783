// Files that grow at their end.
#pragma once

#include <filesystem>
#include <string_view>

namespace anchorage::io {

// Appends the text, durably; creates the file where there is none. Throws SystemError where that fails; the file is
// then as it was, unless cutting it off fails too.
void append_durably(const std::filesystem::path& path, std::string_view text);

}  // namespace anchorage::io
