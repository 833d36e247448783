// HDF5 files as this project writes and reads them: groups, attributes, and datasets of numbers and of text.
//
// Every dataset is chunked with a fletcher32 checksum; numbers lie row-major and little-endian. Text in datasets is
// UTF-8 of fixed width (the longest one's), NUL-padded, because HDF5's checksums do not cover text of variable
// length; text in attributes has variable length, so that h5py gives it as `str`.
//
// Errors carry HDF5's own words, the file and the object. What a file lacks or has in another shape or type, or a
// checksum that does not hold, is a UserError; a failure to write (memory) is a SystemError.
//
// Not every HDF5 is built for threads: every call here takes one lock of the whole process, so any thread may call,
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

using Shape = std::vector<std::int64_t>;
inline constexpr std::int64_t any = -1;  // in the shape that a reader expects

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

  // `values` has as many elements as `shape`.
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
  // UserError unless the dataset has this element type and this shape (`any` leaves a dimension open).
  template <Element T>
  std::vector<T> read(const std::string& name, const Shape& expected) const;
  Matrix read_matrix(const std::string& name, std::int64_t rows, std::int64_t columns) const;
  std::vector<std::string> read_texts(const std::string& name, std::int64_t count = any) const;

 private:
  friend class File;
  friend class NewFile;
  Group(std::shared_ptr<Handle> handle, std::string name);
  std::shared_ptr<Handle> handle_;  // owned; keeps the file open
  std::string name_;                // "<file>:<path in it>", for messages
};

// An existing file, read-only. HDF5's own file locks are off: files are never changed once they have their name.
class File {
 public:
  static File open(const std::filesystem::path& path);
  const Group& root() const { return root_; }

 private:
  explicit File(Group root) : root_(std::move(root)) {}
  Group root_;
};

// A file in the making, in memory: HDF5 that meets a full disk while it closes a file keeps the file open and
// brings the process down at its exit. The bytes go to the disk through an AtomicFile.
class NewFile {
 public:
  explicit NewFile(const std::filesystem::path& path);  // the name that messages give
  Group& root() { return root_; }

  // The whole file. Valid until the next write and while this object lives.
  std::span<const std::byte> bytes();

 private:
  std::string name_;
  std::shared_ptr<Handle> file_;  // owned
  Group root_;
};

}  // namespace anchorage::io::hdf5
