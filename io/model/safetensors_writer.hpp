// Writes a safetensors file that the Python package `safetensors` reads.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "io/model/tensor_view.hpp"

namespace anchorage::io {

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

// The tensors' bytes lie in the order given; they go from where they are to the file, so that nothing is held
// twice. "format": "pt" is what transformers asks for. The file appears whole or not at all. Errors:
// SystemError; InternalError where a name occurs twice or bytes and shape disagree.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace anchorage::io
