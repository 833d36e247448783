#include "io/files/new_folder.hpp"

#include <system_error>
#include <utility>

#include "io/error.hpp"

namespace anchorage::io {

NewFolder::NewFolder(const std::filesystem::path& path) {
  std::error_code error;
  for (auto folder = std::filesystem::absolute(path); !std::filesystem::exists(folder, error) && !error;
       folder = folder.parent_path()) {
    made_.push_back(folder);
  }
  std::filesystem::create_directories(path, error);
  if (error) throw SystemError::from_errno(error.value(), "create the directory", path.string());
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  for (const auto& file : files_) std::filesystem::remove(file, ignored);
  for (const auto& folder : made_) std::filesystem::remove(folder, ignored);
}

NewFolder::NewFolder(NewFolder&& other) noexcept
    : files_(std::exchange(other.files_, {})), made_(std::exchange(other.made_, {})) {}

NewFolder& NewFolder::operator=(NewFolder&& other) noexcept {
  std::swap(files_, other.files_);
  std::swap(made_, other.made_);
  return *this;
}

}  // namespace anchorage::io
