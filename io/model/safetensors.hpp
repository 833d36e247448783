// One safetensors file, memory-mapped.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/files/mapped_file.hpp"
#include "io/model/safetensors_header.hpp"
#include "io/model/tensor_view.hpp"

namespace anchorage::io {

// Opening reads and checks only the header; a tensor's bytes are read when they are touched. Views and spans
// are valid as long as this object, or the one it was moved to, lives. Several threads may read at the same
// time.
class SafetensorsFile {
 public:
  // Errors: UserError for a file that breaks a rule of the format (io/model/safetensors_header.hpp).
  static SafetensorsFile open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  // In the order of their bytes.
  const std::vector<StoredTensor>& tensors() const { return header_.tensors; }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

  std::vector<std::string> names() const;  // in the order of their bytes
  bool contains(std::string_view name) const { return index_.contains(name); }

  // Errors: UserError where there is no such tensor, or where its dtype is not in io/model/dtype.hpp. A file
  // may hold tensors of other dtypes (old GPT-2 files hold U8 masks); only requesting one is refused.
  TensorView at(std::string_view name) const;
  // Returns the tensor whatever its dtype.
  const StoredTensor& stored(std::string_view name) const;

 private:
  SafetensorsFile(std::filesystem::path path, MappedFile file);

  std::filesystem::path path_;
  MappedFile file_;
  SafetensorsHeader header_;
  std::map<std::string, std::size_t, std::less<>> index_;  // name -> index in header_.tensors
};

}  // namespace anchorage::io
