#include "io/files/staging_directory.hpp"

#include <algorithm>
#include <system_error>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

void check_system(const std::error_code& error, const std::string& operation, const fs::path& path) {
  if (error) throw SystemError::from_errno(error.value(), operation, path.string());
}

bool lies_in(const fs::path& path, const fs::path& directory) {
  const auto [end, unused] = std::mismatch(directory.begin(), directory.end(), path.begin(), path.end());
  return end == directory.end();
}

// Returns `out` without links, dots and a trailing slash.
fs::path checked_target(const fs::path& out, const fs::path& source) {
  fs::path target = fs::weakly_canonical(fs::absolute(out));
  if (!target.has_filename()) target = target.parent_path();
  if (lies_in(target, fs::canonical(source))) {
    throw UserError({.expected = "an output directory outside the model's",
                     .found = target.string(),
                     .where = source.string(),
                     .remedy = "choose another directory"});
  }
  if (fs::exists(target) && !(fs::is_directory(target) && fs::is_empty(target))) {
    throw UserError({.expected = "a new or an empty output directory",
                     .found = fs::is_directory(target) ? "one with files in it" : "a file",
                     .where = target.string(),
                     .remedy = "choose another directory"});
  }
  return target;
}

}  // namespace

void make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  check_system(error, "create a directory", path);
}

StagingDirectory::StagingDirectory(const fs::path& target, const fs::path& source)
    : target_(checked_target(target, source)), path_(target_.string() + std::string(suffix)) {
  make_directories(target_.parent_path());
  std::error_code error;
  if (fs::create_directory(path_, error)) return;
  check_system(error, "create a directory", path_);
  throw UserError({.expected = "no earlier export",
                   .found = "one that was stopped",
                   .where = path_.string(),
                   .remedy = "remove this directory, unless an export is still running"});
}

StagingDirectory::~StagingDirectory() {
  std::error_code ignored;
  if (!renamed_) fs::remove_all(path_, ignored);
}

void StagingDirectory::rename_to_target() {
  std::error_code error;
  sync_directory(path_);
  fs::rename(path_, target_, error);  // replaces an empty directory
  check_system(error, "rename a directory", target_);
  renamed_ = true;
  sync_directory(target_.parent_path());
}

}  // namespace anchorage::io
