#include "io/files/sealed_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <vector>

#include "io/error.hpp"
#include "io/files/digest.hpp"
#include "io/files/file_descriptor.hpp"

namespace anchorage::io {
namespace {

const std::string prefix = "anchorage sha256 ";
constexpr std::size_t seal_size = 17 + 64 + 1;  // bytes: prefix, digest, line feed

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

std::string write_sealed(const std::filesystem::path& path, std::span<const std::byte> content,
                         IfExists if_exists) {
  Sha256 digest;
  digest.update(content);
  const std::string seal = seal_line(digest.hex());
  digest.update(seal);
  AtomicFile file(path, if_exists);
  file.write(content);
  file.write(seal);
  file.commit();
  return digest.hex();
}

SealedFile read_seal(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    if (errno != ENOENT) throw SystemError::from_errno(errno, "open for reading", path.string());
    return {.digest = {}, .diagnostic = "no file"};
  }
  const auto size = static_cast<std::size_t>(file.tellg());
  if (size <= seal_size) return {.digest = {}, .diagnostic = fmt::format("{} bytes: the file is cut off", size)};
  file.seekg(0);
  Sha256 digest;
  feed(file, size - seal_size, digest);
  std::string seal(seal_size, '\0');
  file.read(seal.data(), static_cast<std::streamsize>(seal.size()));
  if (!file) throw SystemError::from_errno(errno, "read", path.string());
  const bool has_seal = seal.starts_with(prefix) && seal.ends_with('\n');
  const std::string content_digest = digest.hex();
  digest.update(seal);
  SealedFile sealed{.digest = digest.hex(), .diagnostic = {}};
  if (!has_seal) {
    sealed.diagnostic = "no digest in the last line: the file is cut off or altered";
  } else if (seal != seal_line(content_digest)) {
    sealed.diagnostic = "other bytes than its last line's digest says: the file was altered";
  }
  return sealed;
}

std::string seal_line(const std::string& digest) {
  return prefix + digest + "\n";
}

std::optional<StatedSeal> stated_seal(const std::filesystem::path& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0)
    throw SystemError::from_errno(errno, "open for reading", path.string());
  const auto size = static_cast<std::int64_t>(status.st_size);
  std::array<char, seal_size> line{};
  const std::int64_t begin = size - static_cast<std::int64_t>(line.size());
  if (begin <= 0) return std::nullopt;
  const ssize_t count = ::pread(file.get(), line.data(), line.size(), begin);
  if (count < 0) throw SystemError::from_errno(errno, "read", path.string());
  const std::string_view seal(line.data(), static_cast<std::size_t>(count));
  if (seal.size() != seal_size || !seal.starts_with(prefix) || !seal.ends_with('\n')) return std::nullopt;
  return StatedSeal{.bytes = size, .digest = std::string(seal.substr(prefix.size(), 64))};
}

}  // namespace anchorage::io
