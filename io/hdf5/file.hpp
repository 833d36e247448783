// Writes and reads HDF5 files: groups, attributes, and datasets of numbers and of text.
//
// Every dataset is chunked with a fletcher32 checksum; numbers lie row-major and little-endian. Text in datasets is
// UTF-8 of fixed width (the longest one's), NUL-padded, because HDF5's checksums do not cover text of variable
// length; text in attributes has variable length, so that h5py gives it as `str`.
//
// Errors carry HDF5's own text, the file and the object. A missing object, another shape or type than
// expected, and a checksum that does not match are a UserError; a failure to write (memory) is a SystemError.
//
// Not every HDF5 is built for threads: every call here takes one process-wide lock, so any thread may call,
// and no other code of the process may use HDF5.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/matrix.hpp"

namespace anchorage::io::hdf5 {

template <class T>
concept Element = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int64_t> ||
    std::same_as<T, std::int32_t> || std::same_as<T, std::uint8_t>;

// Returns the version of the HDF5 that is loaded: "1.10.8".
std::string library_version();

using Shape = std::vector<std::int64_t>;
inline constexpr std::int64_t any = -1;  // a dimension that a reader leaves open

// Deflate makes sense for text and indices; trained floats shrink by a tenth and cost more than the disk does.
enum class Packing { plain, deflated };

class Handle;

class Group {
 public:
  bool contains(const std::string& name) const;  // a direct child
  std::vector<std::string> children() const;     // sorted by name
  Group create_group(const std::string& name);
  Group group(const std::string& name) const;

  void set_attribute(const std::string& name, const std::string& value);
  void set_attribute(const std::string& name, std::int64_t value);
  void set_attribute(const std::string& name, double value);
  void set_attribute(const std::string& name, const std::vector<std::string>& values);
  std::string text_attribute(const std::string& name) const;
  std::int64_t integer_attribute(const std::string& name) const;
  double real_attribute(const std::string& name) const;
  std::vector<std::string> texts_attribute(const std::string& name) const;
  bool has_attribute(const std::string& name) const;

  // Writes `values`, which has as many elements as `shape`.
  template <Element T>
  void write(const std::string& name, std::span<const T> values, const Shape& shape,
             Packing packing = Packing::plain);
  template <Element T>
  void write(const std::string& name, const std::vector<T>& values, Packing packing = Packing::plain) {
    write(name, std::span<const T>(values), {static_cast<std::int64_t>(values.size())}, packing);
  }
  void write(const std::string& name, const Matrix& matrix);
  void write(const std::string& name, const std::vector<std::string>& texts);

  Shape shape(const std::string& name) const;
  // Throws UserError unless the dataset has this element type and this shape (`any` leaves a dimension open).
  template <Element T>
  std::vector<T> read(const std::string& name, const Shape& expected) const;
  Matrix read_matrix(const std::string& name, std::int64_t rows, std::int64_t columns) const;
  // Reads rows [begin, end) of a matrix with this many columns.
  Matrix read_rows(const std::string& name, std::int64_t begin, std::int64_t end, std::int64_t columns) const;
  std::vector<std::string> read_texts(const std::string& name, std::int64_t count = any) const;

 private:
  friend class File;
  friend class NewFile;
  Group(std::shared_ptr<Handle> handle, std::string name);
  std::shared_ptr<Handle> handle_;  // owned; keeps the file open
  std::string name_;                // "<file>:<path in it>", for messages
};

// An existing file, read-only. HDF5's own file locks are off, since no file changes once it has its name.
class File {
 public:
  static File open(const std::filesystem::path& path);
  const Group& root() const { return root_; }

 private:
  explicit File(Group root) : root_(std::move(root)) {}
  Group root_;
};

// A new file, built in memory: if the disk is full when HDF5 closes a file, HDF5 keeps the file open and
// crashes the process at exit. The bytes reach the disk through an AtomicFile.
class NewFile {
 public:
  // `path` is named in messages; `data_bytes`, where they are known, keep the memory of a large file in one piece.
  explicit NewFile(const std::filesystem::path& path, std::size_t data_bytes = 0);
  Group& root() { return root_; }

  // Returns the whole file, valid until the next write and while this object lives.
  std::span<const std::byte> bytes();

 private:
  std::string name_;
  std::shared_ptr<Handle> file_;  // owned
  Group root_;
};

}  // namespace anchorage::io::hdf5
