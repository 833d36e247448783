// Files that end with the digest of their own content, in a line after it: "anchorage sha256 <64 digits>\n".
// The seal reveals any flipped byte and any truncation.
#pragma once

#include <cstddef>
#include <filesystem>
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

}  // namespace anchorage::io
