// Files that are either there in full or not at all.
//
// AtomicFile writes the content under a temporary name in the same directory (".<name>.<pid>-<n>.tmp"),
// fsyncs it, renames it and fsyncs the directory. A reader of the final name sees the old content or the new.
// Every failure of the file system is a SystemError that names the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::io {

enum class IfExists { replace, refuse };

// A library that writes files by itself may open `temporary_path()`, truncate and fill it, and close it;
// `write` then appends. The library must not replace the file by another one.
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

  // Gives the file its final name; once it returns, the file survives a power cut. Call it once. Also throws
  // where only the directory cannot be fsynced; the file then has its final name already.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_path_;
  IfExists if_exists_;
  int descriptor_ = -1;
};

void write_file_atomically(const std::filesystem::path& path, std::string_view text);
// Writes pieces that lie in different places, without joining them in memory.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::span<const std::byte>> pieces);

// Makes a rename, a creation or a removal in `directory` durable.
void sync_directory(const std::filesystem::path& directory);

// Whether `path` has the name of a temporary file of this kind.
bool is_temporary(const std::filesystem::path& path);

// Removes temporary files that killed processes left. Call it only for a directory that no other process
// writes to (a run's lock ensures that).
void remove_leftovers(const std::filesystem::path& directory);

}  // namespace anchorage::io
