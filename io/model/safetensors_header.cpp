#include "io/model/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "io/error.hpp"
#include "io/files/lfs_pointer.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

constexpr std::size_t length_bytes = 8;
// Levels of nesting: the object of tensors, a tensor's object, its arrays.
constexpr std::size_t header_depth = 3;

// Every dtype of the format (safetensors 0.8) with the bits that an element takes.
constexpr std::array<std::pair<std::string_view, std::uint64_t>, 22> dtype_bits = {{
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"U8", 8},   {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8},     {"F8_E4M3FNUZ", 8}, {"I16", 16}, {"U16", 16},
    {"F16", 16},    {"BF16", 16},   {"F8_E5M2FNUZ", 8}, {"I32", 32},        {"U32", 32}, {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},        {"U64", 64},
}};

[[noreturn]] void refuse_header(std::string expected, std::string found, std::string where) {
  throw UserError({.expected = std::move(expected),
                   .found = std::move(found),
                   .where = std::move(where),
                   .remedy = "the file is damaged: get it or convert it again"});
}

// Returns the bits of a tensor of this dtype and shape; nothing where that is 2^64 or more.
std::optional<std::uint64_t> size_in_bits(std::uint64_t element_bits, const std::vector<std::int64_t>& shape) {
  std::uint64_t bits = element_bits;
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(dimension), &bits)) return std::nullopt;
  }
  return bits;
}

const json& field_of(const json& entry, const char* name, const std::string& where) {
  const auto field = entry.find(name);
  if (field == entry.end()) refuse_header(fmt::format("the field '{}'", name), "none", where);
  return *field;
}

std::uint64_t bits_of_dtype(const std::string& dtype, const std::string& where) {
  const auto* const known =
      std::find_if(dtype_bits.begin(), dtype_bits.end(), [&](const auto& row) { return row.first == dtype; });
  if (known == dtype_bits.end())
    refuse_header("a dtype of the safetensors format", fmt::format("'{}'", dtype), where);
  return known->second;
}

std::vector<std::int64_t> shape_in(const json& entry, const std::string& where) {
  const json& shape = field_of(entry, "shape", where);
  const auto is_dimension = [](const json& value) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX;
  };
  if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), is_dimension)) {
    refuse_header("a shape of integers from 0 to 2^63-1", shown(shape), where);
  }
  return shape.get<std::vector<std::int64_t>>();
}

std::span<const std::byte> bytes_in(const json& entry, std::span<const std::byte> data, const std::string& where) {
  const json& offsets = field_of(entry, "data_offsets", where);
  const auto is_offset = [](const json& value) { return value.is_number_unsigned(); };
  if (!offsets.is_array() || offsets.size() != 2 || !std::all_of(offsets.begin(), offsets.end(), is_offset)) {
    refuse_header("data_offsets of two integers from 0", shown(offsets), where);
  }
  const auto begin = offsets[0].get<std::uint64_t>();
  const auto end = offsets[1].get<std::uint64_t>();
  if (begin > end || end > data.size()) {
    refuse_header(fmt::format("data_offsets in order and within the {} bytes of data", data.size()), shown(offsets),
                  where);
  }
  return data.subspan(begin, end - begin);
}

StoredTensor tensor_in(const std::string& name, const json& entry, std::span<const std::byte> data,
                       const std::string& file) {
  const std::string where = fmt::format("tensor '{}' of {}", name, file);
  if (!entry.is_object()) refuse_header("an object with dtype, shape and data_offsets", entry.type_name(), where);
  const json& dtype = field_of(entry, "dtype", where);
  if (!dtype.is_string()) refuse_header("the dtype's name", dtype.type_name(), where);
  StoredTensor tensor{.name = name,
                      .dtype = dtype.get<std::string>(),
                      .shape = shape_in(entry, where),
                      .bytes = bytes_in(entry, data, where)};
  const auto bits = size_in_bits(bits_of_dtype(tensor.dtype, where), tensor.shape);
  const std::string kind = fmt::format("{} {}", tensor.dtype, shown(entry["shape"]));
  if (!bits) refuse_header("a shape whose size fits 64 bits", kind, where);
  if (*bits % 8 != 0 || *bits / 8 != tensor.bytes.size()) {
    refuse_header(fmt::format("{} bits of data for {}", *bits, kind), fmt::format("{} bytes", tensor.bytes.size()),
                  where);
  }
  return tensor;
}

std::map<std::string, std::string> metadata_in(const json& entry, const std::string& where) {
  if (entry.is_null()) return {};
  const auto is_string = [](const json& value) { return value.is_string(); };
  if (!entry.is_object() || !std::all_of(entry.begin(), entry.end(), is_string)) {
    refuse_header("a __metadata__ of strings", shown(entry), where);
  }
  return entry.get<std::map<std::string, std::string>>();
}

// Sorts the tensors by place and refuses overlaps, holes and bytes after the last tensor.
void sort_and_check_cover(std::vector<StoredTensor>& tensors, std::span<const std::byte> data,
                          const std::string& where) {
  const auto begin_of = [&](const StoredTensor& tensor) { return tensor.bytes.data() - data.data(); };
  const auto place = [&](const StoredTensor& tensor) { return std::pair(begin_of(tensor), tensor.bytes.size()); };
  std::stable_sort(tensors.begin(), tensors.end(),
                   [&](const auto& left, const auto& right) { return place(left) < place(right); });
  std::ptrdiff_t covered = 0;
  for (const StoredTensor& tensor : tensors) {
    if (begin_of(tensor) != covered) {
      refuse_header(
          fmt::format("the tensor to begin at byte {} of the data, where the one before it ends", covered),
          fmt::format("byte {}", begin_of(tensor)), fmt::format("tensor '{}' of {}", tensor.name, where));
    }
    covered += static_cast<std::ptrdiff_t>(tensor.bytes.size());
  }
  if (covered != static_cast<std::ptrdiff_t>(data.size())) {
    refuse_header(fmt::format("{} bytes of data, as the header says", covered), fmt::format("{}", data.size()),
                  where);
  }
}

std::string_view header_text(std::span<const std::byte> file, const std::string& where) {
  refuse_lfs_pointer(text_of(file), where);
  if (file.size() < length_bytes) {
    refuse_header("the 8 bytes of a safetensors header's length", fmt::format("a file of {} bytes", file.size()),
                  where);
  }
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const std::uint64_t longest = std::min<std::uint64_t>(file.size() - length_bytes, max_safetensors_header);
  if (length > longest) {
    refuse_header(fmt::format("a safetensors header of at most {} bytes", longest), fmt::format("{}", length),
                  where);
  }
  const std::string_view text = text_of(file.subspan(length_bytes, length));
  if (!text.starts_with('{')) {
    refuse_header("a safetensors header that begins with '{'", length == 0 ? "an empty one" : "another character",
                  where);
  }
  return text;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& where) {
  const std::string_view text = header_text(file, where);
  const std::span<const std::byte> data = file.subspan(length_bytes + text.size());
  const json entries = parse_strict_json(text, where, header_depth);
  SafetensorsHeader header;
  for (const auto& [name, entry] : entries.items()) {
    if (name == "__metadata__") {
      header.metadata = metadata_in(entry, where);
    } else {
      header.tensors.push_back(tensor_in(name, entry, data, where));
    }
  }
  sort_and_check_cover(header.tensors, data, where);
  return header;
}

}  // namespace anchorage::io
