#include "io/statistics/npz.hpp"

#include <zip.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <regex>
#include <span>
#include <type_traits>

#include <fmt/ranges.h>

#include "io/error.hpp"
#include "io/files/lfs_pointer.hpp"
#include "io/text/text_of.hpp"

static_assert(std::endian::native == std::endian::little, "arrays are read as they lie in the file");

namespace anchorage::io {
namespace {

constexpr std::size_t preamble_size = 8;                       // "\x93NUMPY", major and minor version
constexpr double greatest_exact_integer = 9007199254740992.0;  // 2^53

[[noreturn]] void refuse_npz(const std::string& expected, const std::string& found, const std::string& where) {
  throw UserError({.expected = expected,
                   .found = found,
                   .where = where,
                   .remedy = "write it again with numpy.savez, or fetch it again if the download was cut off"});
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return value;
}

struct Header {
  std::string element;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_offset = 0;
};

// Parses NumPy's .npy format: the preamble, the header's length in 2 bytes (version 1) or 4, a Python
// dictionary, the data.
Header parse_header(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < preamble_size + 4 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0) {
    refuse_npz("an array in NumPy's .npy format", "something else", where);
  }
  const std::size_t length_size = bytes[6] == std::byte{1} ? 2 : 4;
  const std::size_t length = little_endian(bytes.subspan(preamble_size, length_size));
  const std::size_t start = preamble_size + length_size;
  if (length > bytes.size() - start) refuse_npz("a .npy header", "a header that ends after the file", where);
  const std::string text(text_of(bytes.subspan(start, length)));

  static const std::regex element_pattern("'descr': '([^']+)'"), order_pattern("'fortran_order': (True|False)"),
      shape_pattern("'shape': \\(([0-9, ]*)\\)");
  std::smatch element, order, shape;
  if (text.size() > 4096 || !std::regex_search(text, element, element_pattern) ||
      !std::regex_search(text, order, order_pattern) || !std::regex_search(text, shape, shape_pattern)) {
    refuse_npz("a .npy header with descr, fortran_order and shape", fmt::format("'{:.80}'", text), where);
  }
  Header header{
      .element = element[1], .fortran_order = order[1] == "True", .shape = {}, .data_offset = start + length};
  static const std::regex number("[0-9]{1,18}");
  const std::string sizes = shape[1];
  for (std::sregex_iterator it(sizes.begin(), sizes.end(), number), end; it != end; ++it) {
    header.shape.push_back(std::stoll(it->str()));
  }
  return header;
}

template <class T>
std::vector<double> convert(std::span<const std::byte> data, std::size_t count, const std::string& where) {
  if (data.size() != count * sizeof(T)) {
    refuse_npz(fmt::format("{} bytes of data", count * sizeof(T)), std::to_string(data.size()), where);
  }
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, data.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(value);
  }
  if constexpr (std::is_same_v<T, std::int64_t>) {
    const auto is_inexact = [](double value) { return std::abs(value) > greatest_exact_integer; };
    if (std::ranges::any_of(values, is_inexact)) refuse_npz("integers up to 2^53", "a greater one", where);
  }
  return values;
}

std::vector<double> convert(const std::string& element, std::span<const std::byte> data, std::size_t count,
                            const std::string& where) {
  if (element == "<f4") return convert<float>(data, count, where);
  if (element == "<f8") return convert<double>(data, count, where);
  if (element == "<i4") return convert<std::int32_t>(data, count, where);
  if (element == "<i8") return convert<std::int64_t>(data, count, where);
  refuse_npz("elements of type <f4, <f8, <i4 or <i8", element, where);
}

// Converts an array whose first index is the fastest to one whose last index is.
std::vector<double> row_major(const std::vector<double>& values, const std::vector<std::int64_t>& shape) {
  std::vector<double> result(values.size());
  std::vector<std::size_t> strides(shape.size(), 1);  // in the result
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * static_cast<std::size_t>(shape[i]);
  for (std::size_t from = 0; from < values.size(); ++from) {
    std::size_t rest = from, to = 0;
    for (std::size_t i = 0; i < shape.size(); ++i) {
      to += rest % static_cast<std::size_t>(shape[i]) * strides[i];
      rest /= static_cast<std::size_t>(shape[i]);
    }
    result[to] = values[from];
  }
  return result;
}

}  // namespace

struct NpzFile::Archive {
  std::string name;
  std::unique_ptr<zip_t, void (*)(zip_t*)> zip{nullptr, &zip_discard};
};

NpzFile::NpzFile(const std::filesystem::path& path)
    : archive_(std::make_unique<Archive>(Archive{.name = path.string()})) {
  refuse_lfs_pointer(path);
  int code = 0;
  archive_->zip.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive_->zip) return;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string found = zip_error_strerror(&error);
  zip_error_fini(&error);
  refuse_npz("an .npz file (a zip archive of NumPy arrays)", found, path.string());
}
NpzFile::~NpzFile() = default;
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(archive_->zip.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* entry = zip_get_name(archive_->zip.get(), static_cast<zip_uint64_t>(i), 0);
    std::string name = entry == nullptr ? "" : entry;
    if (name.ends_with(".npy")) names.push_back(name.substr(0, name.size() - 4));
  }
  return names;
}

bool NpzFile::contains(const std::string& name) const {
  return zip_name_locate(archive_->zip.get(), (name + ".npy").c_str(), 0) >= 0;
}

NpyArray NpzFile::read(const std::string& name) const {
  const std::string where = archive_->name + ":" + name;
  const std::string entry = name + ".npy";
  zip_stat_t status;
  if (zip_stat(archive_->zip.get(), entry.c_str(), 0, &status) != 0) {
    refuse_npz("an array of this name", fmt::format("{}", fmt::join(names(), ", ")), where);
  }
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen(archive_->zip.get(), entry.c_str(), 0),
                                                               &zip_fclose);
  if (!file) refuse_npz("a readable array", zip_strerror(archive_->zip.get()), where);

  // Reads in parts, so that a false size in the archive takes no memory. libzip checks the CRC at the end.
  std::vector<std::byte> bytes;
  std::vector<std::byte> part(std::size_t{1} << 20);
  while (true) {
    const zip_int64_t count = zip_fread(file.get(), part.data(), part.size());
    if (count < 0) refuse_npz("an array without damage", zip_file_strerror(file.get()), where);
    if (count == 0) break;
    bytes.insert(bytes.end(), part.begin(), part.begin() + count);
  }

  const Header header = parse_header(bytes, where);
  double elements = 1;
  for (const std::int64_t size : header.shape) elements *= static_cast<double>(size);
  if (elements > static_cast<double>(bytes.size())) refuse_npz("data for its shape", "too few bytes", where);
  const auto data = std::span<const std::byte>(bytes).subspan(header.data_offset);
  NpyArray array{.element = header.element,
                 .shape = header.shape,
                 .values = convert(header.element, data, static_cast<std::size_t>(elements), where)};
  if (header.fortran_order) array.values = row_major(array.values, array.shape);
  return array;
}

}  // namespace anchorage::io
