// The header of a safetensors file: 8 bytes with its length, then JSON that says where each tensor's bytes lie.
// Format: https://huggingface.co/docs/safetensors
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace anchorage::io {

// A tensor of any dtype of the format, as stored in the file.
struct StoredTensor {
  std::string name;
  std::string dtype;  // the format's name: "F32", "U8", ...
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // borrowed from the file
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in the order of their bytes
  std::map<std::string, std::string> metadata;
};

inline constexpr std::uint64_t max_safetensors_header = 100'000'000;  // the format's own limit, in bytes

// Reads the header of the file whose bytes are `file` and checks every rule of the format: the header's length,
// that it is one JSON object without repeated names, known dtypes, sizes equal to shape times dtype, and that the
// tensors cover the rest of the file from its first byte to its last without hole or overlap. Errors: UserError
// that names the file (`where`) and the tensor.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& where);

}  // namespace anchorage::io
