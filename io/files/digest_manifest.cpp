#include "io/files/digest_manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "io/files/atomic_file.hpp"
#include "io/files/digest.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> files_in(const fs::path& directory) {
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(directory).string());
  }
  std::erase(files, digest_manifest_name);
  std::ranges::sort(files);
  return files;
}

// A name with a line break or a backslash is escaped, and a backslash before the digest says so.
std::string manifest_line(const std::string& digest, const std::string& name) {
  std::string escaped;
  for (const char character : name) {
    if (character == '\n') {
      escaped += "\\n";
    } else if (character == '\r') {
      escaped += "\\r";
    } else if (character == '\\') {
      escaped += "\\\\";
    } else {
      escaped += character;
    }
  }
  return fmt::format("{}{}  {}\n", escaped == name ? "" : "\\", digest, escaped);
}

}  // namespace

void write_digest_manifest(const fs::path& directory) {
  std::string lines;
  for (const std::string& file : files_in(directory))
    lines += manifest_line(sha256_of_file(directory / file), file);
  write_file_atomically(directory / digest_manifest_name, lines);
}

}  // namespace anchorage::io
