// SHA256SUMS: the digests of a directory's files, in the form that `sha256sum --check` reads.
#pragma once

#include <filesystem>

namespace anchorage::io {

inline constexpr auto digest_manifest_name = "SHA256SUMS";

// Writes the manifest of all regular files below the directory, sorted by their paths, without itself. Reads each
// file once. Throws SystemError where one cannot be read or the manifest not be written.
void write_digest_manifest(const std::filesystem::path& directory);

}  // namespace anchorage::io
