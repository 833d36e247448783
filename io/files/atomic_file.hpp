// Files that are either there in full or not at all.
//
// The content is written under a temporary name in the same directory (".<name>.<pid>-<n>.tmp"), then fsynced,
// renamed and the directory fsynced. Whoever reads the final name sees the old content or the new one. Every
// failure of the file system is a SystemError that names the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

enum class IfExists { replace, refuse };

// A library that writes files by itself (HDF5) may open `temporary_path()`, truncate and fill it, and close it;
// `write` then adds after what is there. It must not replace the file by another one.
class AtomicFile {
 public:
  // Creates the temporary file. With `refuse`, `commit` throws InternalError where `path` exists by then.
  explicit AtomicFile(std::filesystem::path path, IfExists if_exists = IfExists::replace);
  // Removes the temporary file unless it was committed.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::filesystem::path& temporary_path() const { return temporary_path_; }

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);

  // When it returns, the file has its final name and would outlive a power cut. Once only. If only the directory
  // cannot be fsynced it throws too, and the file has its final name already.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_path_;
  IfExists if_exists_;
  int descriptor_ = -1;
};

void write_file_atomically(const std::filesystem::path& path, std::string_view text);
// From pieces that lie in different places, without joining them in memory.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces);

// Makes a rename, a creation or a removal in `directory` durable.
void sync_directory(const std::filesystem::path& directory);

// Whether `path` bears the name of a temporary file of this kind.
bool is_temporary(const std::filesystem::path& path);

// Removes what killed processes left behind. Only for a directory that no other process writes to (a run's lock).
void remove_leftovers(const std::filesystem::path& directory);

}  // namespace anchorage::io
