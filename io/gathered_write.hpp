// Writing a file from pieces that lie in different places, without joining them in memory first.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace anchorage::io {

// Writes the pieces one after another to `path` + ".partial", syncs and renames: `path` holds all of them or is as
// it was. Errors: SystemError.
void write_gathered(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces);

}  // namespace anchorage::io
