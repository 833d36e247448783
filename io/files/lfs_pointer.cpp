#include "io/files/lfs_pointer.hpp"

#include <fstream>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

constexpr std::size_t longest_pointer = 1024;  // bytes, git-lfs's own limit

}  // namespace

void refuse_lfs_pointer(std::string_view content, const std::string& where) {
  const bool is_pointer =
      content.size() < longest_pointer && content.starts_with("version https://git-lfs.github.com/spec/");
  if (!is_pointer) return;
  throw UserError({.expected = "the file itself",
                   .found = "a git-lfs pointer to it",
                   .where = where,
                   .remedy = "fetch it: run 'git lfs pull' in its repository"});
}

void refuse_lfs_pointer(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content(longest_pointer, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(file.gcount()));
  refuse_lfs_pointer(content, path.string());
}

}  // namespace anchorage::io
