// Reads NumPy's .npz archives (a zip of .npy files), as np.savez and np.savez_compressed write them: real and
// integer arrays, little-endian, C or Fortran order. Arrays of other element types are listed, and refused by
// name when read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace anchorage::io {

struct NpyArray {
  std::string element;              // NumPy's own name: "<f4", "<f8", "<i8", "<i4"
  std::vector<std::int64_t> shape;  // empty for a scalar
  std::vector<double> values;       // row-major; integers beyond 2^53 are refused
};

class NpzFile {
 public:
  explicit NpzFile(const std::filesystem::path& path);  // UserError when it is not a zip archive
  ~NpzFile();
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;

  std::vector<std::string> names() const;  // without ".npy"
  bool contains(const std::string& name) const;
  NpyArray read(const std::string& name) const;

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

}  // namespace anchorage::io
