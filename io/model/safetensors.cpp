#include "io/model/safetensors.hpp"

#include <utility>

#include "io/error.hpp"

namespace anchorage::io {

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  return {path, MappedFile(path)};
}

SafetensorsFile::SafetensorsFile(std::filesystem::path path, MappedFile file)
    : path_(std::move(path)),
      file_(std::move(file)),
      header_(parse_safetensors_header(file_.bytes(), path_.string())) {
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_.emplace(header_.tensors[i].name, i);
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(header_.tensors.size());
  for (const StoredTensor& tensor : header_.tensors) names.push_back(tensor.name);
  return names;
}

const StoredTensor& SafetensorsFile::stored(std::string_view name) const {
  const auto found = index_.find(name);
  if (found != index_.end()) return header_.tensors[found->second];
  throw UserError({.expected = fmt::format("the tensor '{}'", name),
                   .found = "no tensor of that name",
                   .where = path_.string(),
                   .remedy = "check that weights and config.json are of one model"});
}

TensorView SafetensorsFile::at(std::string_view name) const {
  const StoredTensor& tensor = stored(name);
  if (const auto dtype = dtype_named(tensor.dtype)) return {*dtype, tensor.shape, tensor.bytes};
  throw UserError({.expected = "a tensor of F32, F16 or BF16",
                   .found = tensor.dtype,
                   .where = fmt::format("tensor '{}' of {}", name, path_.string()),
                   .remedy = "convert the model to one of these"});
}

}  // namespace anchorage::io
