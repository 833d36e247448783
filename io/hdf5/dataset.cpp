// Datasets of a group.
#include <algorithm>
#include <limits>
#include <numeric>

#include "io/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/hdf5/handle.hpp"

namespace anchorage::io::hdf5 {
namespace {

constexpr hsize_t chunk_bytes = hsize_t{1} << 20;
constexpr unsigned deflate_level = 4;
constexpr hsize_t greatest_deflate_ratio = 1100;  // zlib's limit is 1032

struct ElementType {
  hid_t stored;
  hid_t native;
  const char* name;
};

template <class T>
ElementType element_type() {
  if constexpr (std::same_as<T, float>) return {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, "f32"};
  if constexpr (std::same_as<T, double>) return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, "f64"};
  if constexpr (std::same_as<T, std::int64_t>) return {H5T_STD_I64LE, H5T_NATIVE_INT64, "i64"};
  if constexpr (std::same_as<T, std::int32_t>) return {H5T_STD_I32LE, H5T_NATIVE_INT32, "i32"};
  if constexpr (std::same_as<T, std::uint8_t>) return {H5T_STD_U8LE, H5T_NATIVE_UINT8, "u8"};
}

std::string words(const Shape& shape) {
  std::string text;
  for (const std::int64_t size : shape) {
    text += (text.empty() ? "" : ", ") + (size == any ? std::string("any") : std::to_string(size));
  }
  return "[" + text + "]";
}

std::size_t product(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1},
                         [](std::size_t n, std::int64_t size) { return n * static_cast<std::size_t>(size); });
}

bool fits(const Shape& found, const Shape& expected) {
  return std::ranges::equal(found, expected, [](std::int64_t f, std::int64_t e) { return e == any || e == f; });
}

// Makes chunks of whole rows, of about a megabyte. HDF5 has no chunks in a dataset without elements.
hid_t make_creation_properties(const Shape& shape, std::size_t element_bytes, Packing packing,
                               const std::string& where) {
  const hid_t properties = checked(H5Pcreate(H5P_DATASET_CREATE), Doing::writing, "set up a dataset", where);
  H5Pset_obj_track_times(properties, false);  // the same content gives the same bytes
  if (product(shape) == 0) return properties;
  std::vector<hsize_t> chunk(shape.begin(), shape.end());
  hsize_t row_bytes = element_bytes;
  for (std::size_t i = 1; i < chunk.size(); ++i) row_bytes *= chunk[i];
  chunk[0] = std::clamp<hsize_t>(chunk_bytes / row_bytes, 1, chunk[0]);
  checked(H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()), Doing::writing, "set chunks",
          where);
  if (packing == Packing::deflated) {
    checked(H5Pset_shuffle(properties), Doing::writing, "set a filter", where);
    checked(H5Pset_deflate(properties, deflate_level), Doing::writing, "set a filter", where);
  }
  checked(H5Pset_fletcher32(properties), Doing::writing, "set a filter", where);
  return properties;
}

struct Data {
  hid_t stored;
  hid_t native;
  std::size_t element_bytes;
  const void* values;
};

void write_dataset(hid_t group, const std::string& name, const Data& data, const Shape& shape, Packing packing,
                   const std::string& where) {
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const Handle space(checked(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr),
                             Doing::writing, "make a shape", where));
  const Handle properties(make_creation_properties(shape, data.element_bytes, packing, where));
  const Handle dataset(
      checked(H5Dcreate2(group, name.c_str(), data.stored, space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT),
              Doing::writing, "create a dataset", where));
  if (product(shape) == 0) return;
  checked(H5Dwrite(dataset.id(), data.native, H5S_ALL, H5S_ALL, H5P_DEFAULT, data.values), Doing::writing,
          "write a dataset", where);
  checked(H5Dflush(dataset.id()), Doing::writing, "write a dataset", where);  // closing reports no error
}

hid_t open_dataset(hid_t group, const std::string& name, const std::string& where) {
  return checked(H5Dopen2(group, name.c_str(), H5P_DEFAULT), Doing::reading, "open a dataset", where);
}

Shape shape_of(hid_t dataset, const std::string& where) {
  const Handle space(checked(H5Dget_space(dataset), Doing::reading, "read a shape", where));
  const int rank = checked(H5Sget_simple_extent_ndims(space.id()), Doing::reading, "read a shape", where);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  checked(H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr), Doing::reading, "read a shape", where);
  return {sizes.begin(), sizes.end()};
}

// Refuses a shape that the file's bytes cannot fill, before memory is taken for it.
void require_shape(hid_t dataset, const Shape& expected, std::size_t element_bytes, const std::string& where) {
  const Shape found = shape_of(dataset, where);
  if (!fits(found, expected)) {
    throw UserError({.expected = "the shape " + words(expected),
                     .found = words(found),
                     .where = where,
                     .remedy = "the file is damaged or belongs to another model"});
  }
  const double bytes = std::accumulate(found.begin(), found.end(), static_cast<double>(element_bytes),
                                       [](double n, std::int64_t size) { return n * static_cast<double>(size); });
  if (bytes <= static_cast<double>(H5Dget_storage_size(dataset)) * static_cast<double>(greatest_deflate_ratio))
    return;
  throw UserError({.expected = fmt::format("{} bytes of data", bytes),
                   .found = fmt::format("{} bytes in the file", H5Dget_storage_size(dataset)),
                   .where = where,
                   .remedy = "the file is damaged: take it from a copy"});
}

void require_type(hid_t dataset, const ElementType& expected, const std::string& where) {
  const Handle type(checked(H5Dget_type(dataset), Doing::reading, "read a type", where));
  if (checked(H5Tequal(type.id(), expected.stored), Doing::reading, "compare types", where) > 0) return;
  throw UserError({.expected = fmt::format("elements of type {}", expected.name),
                   .found = "another type",
                   .where = where,
                   .remedy = "the file was made by something else"});
}

hid_t make_fixed_text_type(std::size_t width, Doing doing, const std::string& where) {
  const hid_t type = checked(H5Tcopy(H5T_C_S1), doing, "make a text type", where);
  checked(H5Tset_size(type, width), doing, "make a text type", where);
  checked(H5Tset_cset(type, H5T_CSET_UTF8), doing, "make a text type", where);
  checked(H5Tset_strpad(type, H5T_STR_NULLPAD), doing, "make a text type", where);
  return type;
}

std::size_t text_width(hid_t dataset, const std::string& where) {
  const Handle type(checked(H5Dget_type(dataset), Doing::reading, "read a type", where));
  if (H5Tget_class(type.id()) == H5T_STRING && H5Tis_variable_str(type.id()) == 0) return H5Tget_size(type.id());
  throw UserError({.expected = "text of fixed width",
                   .found = "another type",
                   .where = where,
                   .remedy = "the file was made by something else"});
}

}  // namespace

template <Element T>
void Group::write(const std::string& name, std::span<const T> values, const Shape& shape, Packing packing) {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  check(!shape.empty() && values.size() == product(shape), "values do not fill the shape of " + where);
  const ElementType type = element_type<T>();
  write_dataset(handle_->id(), name,
                {.stored = type.stored, .native = type.native, .element_bytes = sizeof(T), .values = values.data()},
                shape, packing, where);
}

void Group::write(const std::string& name, const Matrix& matrix) {
  write(name, std::span<const float>(matrix.values), {matrix.rows, matrix.columns});
}

void Group::write(const std::string& name, const std::vector<std::string>& texts) {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  std::size_t width = 1;
  for (const std::string& text : texts) width = std::max(width, text.size());
  std::string padded;
  padded.reserve(width * texts.size());
  for (const std::string& text : texts) {
    refuse_nul(text, where);
    padded += text;
    padded.append(width - text.size(), '\0');
  }
  const Handle type(make_fixed_text_type(width, Doing::writing, where));
  write_dataset(handle_->id(), name,
                {.stored = type.id(), .native = type.id(), .element_bytes = width, .values = padded.data()},
                {static_cast<std::int64_t>(texts.size())}, Packing::deflated, where);
}

Shape Group::shape(const std::string& name) const {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  const Handle dataset(open_dataset(handle_->id(), name, where));
  return shape_of(dataset.id(), where);
}

template <Element T>
std::vector<T> Group::read(const std::string& name, const Shape& expected) const {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  const Handle dataset(open_dataset(handle_->id(), name, where));
  const ElementType type = element_type<T>();
  require_type(dataset.id(), type, where);
  require_shape(dataset.id(), expected, sizeof(T), where);
  std::vector<T> values(product(shape_of(dataset.id(), where)));
  if (values.empty()) return values;
  checked(H5Dread(dataset.id(), type.native, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), Doing::reading,
          "read a dataset", where);
  return values;
}

Matrix Group::read_matrix(const std::string& name, std::int64_t rows, std::int64_t columns) const {
  std::vector<float> values = read<float>(name, {rows, columns});
  const Shape found = shape(name);
  return {.rows = found[0], .columns = found[1], .values = std::move(values)};
}

Matrix Group::read_rows(const std::string& name, std::int64_t begin, std::int64_t end, std::int64_t columns) const {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  const Handle dataset(open_dataset(handle_->id(), name, where));
  const ElementType type = element_type<float>();
  require_type(dataset.id(), type, where);
  require_shape(dataset.id(), {any, columns}, sizeof(float), where);
  check(0 <= begin && begin <= end && end <= shape_of(dataset.id(), where)[0], "rows that the dataset has");
  Matrix matrix{.rows = end - begin, .columns = columns, .values = {}};
  matrix.values.resize(product({matrix.rows, columns}));
  if (matrix.values.empty()) return matrix;
  const std::vector<hsize_t> start{static_cast<hsize_t>(begin), 0},
      count{static_cast<hsize_t>(matrix.rows), static_cast<hsize_t>(columns)};
  const Handle in_file(checked(H5Dget_space(dataset.id()), Doing::reading, "read a shape", where));
  checked(H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
          Doing::reading, "select rows", where);
  const Handle in_memory(
      checked(H5Screate_simple(2, count.data(), nullptr), Doing::reading, "make a shape", where));
  checked(H5Dread(dataset.id(), type.native, in_memory.id(), in_file.id(), H5P_DEFAULT, matrix.values.data()),
          Doing::reading, "read a dataset", where);
  return matrix;
}

std::vector<std::string> Group::read_texts(const std::string& name, std::int64_t count) const {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  const Handle dataset(open_dataset(handle_->id(), name, where));
  const std::size_t width = text_width(dataset.id(), where);
  require_shape(dataset.id(), {count}, width, where);
  const std::size_t found = product(shape_of(dataset.id(), where));
  if (found == 0) return {};
  std::string padded(width * found, '\0');
  const Handle type(make_fixed_text_type(width, Doing::reading, where));
  checked(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()), Doing::reading,
          "read a dataset", where);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < found; ++i) {
    const std::string_view cell = std::string_view(padded).substr(i * width, width);
    texts.emplace_back(cell.substr(0, cell.find('\0')));
  }
  return texts;
}

template void Group::write(const std::string&, std::span<const float>, const Shape&, Packing);
template void Group::write(const std::string&, std::span<const double>, const Shape&, Packing);
template void Group::write(const std::string&, std::span<const std::int64_t>, const Shape&, Packing);
template void Group::write(const std::string&, std::span<const std::int32_t>, const Shape&, Packing);
template void Group::write(const std::string&, std::span<const std::uint8_t>, const Shape&, Packing);
template std::vector<float> Group::read(const std::string&, const Shape&) const;
template std::vector<double> Group::read(const std::string&, const Shape&) const;
template std::vector<std::int64_t> Group::read(const std::string&, const Shape&) const;
template std::vector<std::int32_t> Group::read(const std::string&, const Shape&) const;
template std::vector<std::uint8_t> Group::read(const std::string&, const Shape&) const;

}  // namespace anchorage::io::hdf5
