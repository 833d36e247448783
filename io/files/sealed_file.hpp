// Files that end with the digest of their own content, in a line after it: "anchorage sha256 <64 digits>\n".
// The seal reveals any flipped byte and any truncation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "io/files/atomic_file.hpp"

namespace anchorage::io {

// Writes the content and its seal; the file appears whole or not at all. Returns the SHA-256 of the whole
// file.
std::string write_sealed(const std::filesystem::path& path, std::span<const std::byte> content, IfExists if_exists);

struct SealedFile {
  std::string digest;      // SHA-256 of the whole file
  std::string diagnostic;  // what is wrong with it; empty where its seal holds
};

// Reads the file once. Throws SystemError when it cannot be read.
SealedFile read_seal(const std::filesystem::path& path);

// Returns the seal's line for content of this SHA-256, with its line feed.
std::string seal_line(const std::string& digest);

// What a sealed file says of itself, unproven.
struct StatedSeal {
  std::int64_t bytes = 0;  // size of the file
  std::string digest;      // SHA-256 of the content, as the last line gives it

  bool operator==(const StatedSeal&) const = default;
};

// Reads the last line alone, whatever the file's size; nothing where there is no such file or no seal at its end.
// Throws SystemError when it cannot be read.
std::optional<StatedSeal> stated_seal(const std::filesystem::path& path);

}  // namespace anchorage::io
