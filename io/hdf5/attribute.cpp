// Attributes of a group.
#include "io/error.hpp"
#include "io/hdf5/file.hpp"
#include "io/hdf5/handle.hpp"

namespace anchorage::io::hdf5 {
namespace {

hid_t make_text_type(Doing doing, const std::string& where) {
  const hid_t type = checked(H5Tcopy(H5T_C_S1), doing, "make a text type", where);
  checked(H5Tset_size(type, H5T_VARIABLE), doing, "make a text type", where);
  checked(H5Tset_cset(type, H5T_CSET_UTF8), doing, "make a text type", where);
  return type;
}

void write_attribute(hid_t group, const std::string& name, hid_t type, hid_t space, const void* data,
                     const std::string& where) {
  const Handle attribute(checked(H5Acreate2(group, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                                 Doing::writing, "create an attribute", where));
  if (data == nullptr) return;  // a list without elements
  checked(H5Awrite(attribute.id(), type, data), Doing::writing, "write an attribute", where);
}

hid_t open_attribute(hid_t group, const std::string& name, const std::string& where) {
  return checked(H5Aopen(group, name.c_str(), H5P_DEFAULT), Doing::reading, "open an attribute", where);
}

void require_class(hid_t attribute, H5T_class_t expected, const std::string& words, const std::string& where) {
  const Handle type(checked(H5Aget_type(attribute), Doing::reading, "read an attribute's type", where));
  const bool fixed_text = expected == H5T_STRING && H5Tis_variable_str(type.id()) <= 0;
  if (H5Tget_class(type.id()) == expected && !fixed_text) return;
  throw UserError({.expected = words,
                   .found = "an attribute of another type",
                   .where = where,
                   .remedy = "the file was made by something else"});
}

std::size_t count_of(hid_t attribute, const std::string& where) {
  const Handle space(checked(H5Aget_space(attribute), Doing::reading, "read an attribute's shape", where));
  return static_cast<std::size_t>(
      checked(H5Sget_simple_extent_npoints(space.id()), Doing::reading, "read an attribute's shape", where));
}

void require_one(hid_t attribute, const std::string& where) {
  const std::size_t count = count_of(attribute, where);
  if (count == 1) return;
  throw UserError({.expected = "one value", .found = std::to_string(count), .where = where, .remedy = {}});
}

std::vector<std::string> texts_of(hid_t attribute, const std::string& where) {
  require_class(attribute, H5T_STRING, "UTF-8 text of variable length", where);
  std::vector<char*> pointers(count_of(attribute, where), nullptr);
  if (pointers.empty()) return {};
  const Handle type(make_text_type(Doing::reading, where));
  checked(H5Aread(attribute, type.id(), pointers.data()), Doing::reading, "read an attribute", where);
  std::vector<std::string> texts;
  texts.reserve(pointers.size());
  for (const char* pointer : pointers) texts.emplace_back(pointer == nullptr ? "" : pointer);
  for (char* pointer : pointers) H5free_memory(pointer);
  return texts;
}

template <class T>
T read_number(hid_t group, const std::string& name, H5T_class_t type_class, hid_t type, const std::string& where) {
  const Handle attribute(open_attribute(group, name, where));
  require_class(attribute.id(), type_class, type_class == H5T_INTEGER ? "an integer" : "a real number", where);
  require_one(attribute.id(), where);
  T value{};
  checked(H5Aread(attribute.id(), type, &value), Doing::reading, "read an attribute", where);
  return value;
}

}  // namespace

bool Group::has_attribute(const std::string& name) const {
  const auto lock = lock_library();
  return checked(H5Aexists(handle_->id(), name.c_str()), Doing::reading, "look for an attribute",
                 name_ + "@" + name) > 0;
}

void Group::set_attribute(const std::string& name, const std::string& value) {
  const auto lock = lock_library();
  const std::string where = name_ + "@" + name;
  refuse_nul(value, where);
  const Handle type(make_text_type(Doing::writing, where)), space(H5Screate(H5S_SCALAR));
  const char* pointer = value.c_str();
  write_attribute(handle_->id(), name, type.id(), space.id(), &pointer, where);
}

void Group::set_attribute(const std::string& name, std::int64_t value) {
  const auto lock = lock_library();
  const Handle space(H5Screate(H5S_SCALAR));
  write_attribute(handle_->id(), name, H5T_STD_I64LE, space.id(), &value, name_ + "@" + name);
}

void Group::set_attribute(const std::string& name, double value) {
  const auto lock = lock_library();
  const Handle space(H5Screate(H5S_SCALAR));
  write_attribute(handle_->id(), name, H5T_IEEE_F64LE, space.id(), &value, name_ + "@" + name);
}

void Group::set_attribute(const std::string& name, const std::vector<std::string>& values) {
  const auto lock = lock_library();
  const std::string where = name_ + "@" + name;
  std::vector<const char*> pointers;
  for (const std::string& value : values) {
    refuse_nul(value, where);
    pointers.push_back(value.c_str());
  }
  const hsize_t count = values.size();
  const Handle type(make_text_type(Doing::writing, where)), space(H5Screate_simple(1, &count, nullptr));
  write_attribute(handle_->id(), name, type.id(), space.id(), pointers.empty() ? nullptr : pointers.data(), where);
}

std::string Group::text_attribute(const std::string& name) const {
  const auto lock = lock_library();
  const std::string where = name_ + "@" + name;
  const Handle attribute(open_attribute(handle_->id(), name, where));
  require_one(attribute.id(), where);
  return texts_of(attribute.id(), where).front();
}

std::int64_t Group::integer_attribute(const std::string& name) const {
  const auto lock = lock_library();
  return read_number<std::int64_t>(handle_->id(), name, H5T_INTEGER, H5T_NATIVE_INT64, name_ + "@" + name);
}

double Group::real_attribute(const std::string& name) const {
  const auto lock = lock_library();
  return read_number<double>(handle_->id(), name, H5T_FLOAT, H5T_NATIVE_DOUBLE, name_ + "@" + name);
}

std::vector<std::string> Group::texts_attribute(const std::string& name) const {
  const auto lock = lock_library();
  const std::string where = name_ + "@" + name;
  const Handle attribute(open_attribute(handle_->id(), name, where));
  return texts_of(attribute.id(), where);
}

}  // namespace anchorage::io::hdf5
