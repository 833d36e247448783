#include <algorithm>
#include <cerrno>
#include <fstream>

#include "io/digest.hpp"
#include "io/error.hpp"
#include "io/journal/layout.hpp"

namespace anchorage::io {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& found) {
  throw UserError({.expected = "a segment as it was committed",
                   .found = found,
                   .where = path.string(),
                   .remedy =
                       "put back the file from a copy; without one, move it and all later segments away and go on "
                       "from the batch before with --resume"});
}

void feed(std::ifstream& file, std::size_t count, Sha256& digest) {
  std::vector<char> buffer(std::min(count, std::size_t{1} << 20));
  while (count > 0) {
    const std::size_t part = std::min(count, buffer.size());
    file.read(buffer.data(), static_cast<std::streamsize>(part));
    if (!file) return;
    digest.update(std::string_view(buffer.data(), part));
    count -= part;
  }
}

}  // namespace

std::string verify_segment(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    if (errno != ENOENT) throw SystemError::from_errno(errno, "open for reading", path.string());
    refuse(path, "no file");
  }
  const auto size = static_cast<std::size_t>(file.tellg());
  if (size <= layout::seal_size) refuse(path, fmt::format("{} bytes: the file is cut off", size));
  file.seekg(0);
  Sha256 digest;
  feed(file, size - layout::seal_size, digest);
  std::string seal(layout::seal_size, '\0');
  file.read(seal.data(), static_cast<std::streamsize>(seal.size()));
  if (!file) throw SystemError::from_errno(errno, "read", path.string());
  const bool has_seal = seal.starts_with(layout::seal_prefix) && seal.ends_with('\n');
  if (!has_seal) refuse(path, "no digest in the last line: the file is cut off or altered");
  if (seal != layout::seal_prefix + digest.hex() + "\n") {
    refuse(path, "other bytes than its last line's digest tells: the file was altered");
  }
  digest.update(seal);
  return digest.hex();
}

}  // namespace anchorage::io
