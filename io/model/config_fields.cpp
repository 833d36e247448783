#include "io/model/config_fields.hpp"

#include <limits>
#include <utility>

#include "io/error.hpp"
#include "io/text/strict_json.hpp"

namespace anchorage::io {

using nlohmann::json;

ConfigFields::ConfigFields(const json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) refuse("a JSON object", object_.type_name());
}

const json* ConfigFields::find(std::string_view name) const {
  const auto field = object_.find(std::string(name));
  return field == object_.end() || field->is_null() ? nullptr : &*field;
}

bool ConfigFields::has(std::string_view name) const {
  return object_.contains(std::string(name));
}

const json& ConfigFields::required(std::string_view name) const {
  const json* const field = find(name);
  if (field == nullptr) refuse(fmt::format("the field '{}'", name), "none");
  return *field;
}

std::int64_t ConfigFields::size(std::string_view name) const {
  return size_from(name, required(name));
}

std::int64_t ConfigFields::size_or(std::string_view name, std::int64_t otherwise) const {
  const json* const field = find(name);
  return field == nullptr ? otherwise : size_from(name, *field);
}

double ConfigFields::positive(std::string_view name) const {
  return positive_from(name, required(name));
}

double ConfigFields::positive_or(std::string_view name, double otherwise) const {
  const json* const field = find(name);
  return field == nullptr ? otherwise : positive_from(name, *field);
}

std::vector<double> ConfigFields::positives(std::string_view name) const {
  const json& field = required(name);
  if (!field.is_array()) refuse(fmt::format("'{}' to be a list of positive numbers", name), shown(field));
  std::vector<double> values;
  for (const json& value : field) values.push_back(positive_from(name, value));
  return values;
}

bool ConfigFields::flag_or(std::string_view name, bool otherwise) const {
  const json* const field = find(name);
  if (field == nullptr) return otherwise;
  if (!field->is_boolean()) refuse(fmt::format("'{}' to be true or false", name), shown(*field));
  return field->get<bool>();
}

std::string ConfigFields::text_or(std::string_view name, const std::string& otherwise) const {
  const json* const field = find(name);
  if (field == nullptr) return otherwise;
  if (!field->is_string()) refuse(fmt::format("'{}' to be a string", name), shown(*field));
  return field->get<std::string>();
}

std::vector<std::int64_t> ConfigFields::ids_or(std::string_view name, std::vector<std::int64_t> otherwise) const {
  if (!has(name)) return otherwise;
  const json* const field = find(name);
  if (field == nullptr) return {};
  std::vector<std::int64_t> ids;
  for (const json& id : field->is_array() ? *field : json::array({*field})) {
    if (!id.is_number_integer())
      refuse(fmt::format("'{}' to be a token id or a list of them", name), shown(*field));
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

void ConfigFields::refuse(std::string expected, std::string found, std::string remedy) const {
  throw UserError(
      {.expected = std::move(expected), .found = std::move(found), .where = where_, .remedy = std::move(remedy)});
}

void ConfigFields::refuse_unimplemented(std::string expected, std::string found) const {
  refuse(std::move(expected), std::move(found), "this is not implemented: take another model");
}

std::int64_t ConfigFields::size_from(std::string_view name, const json& field) const {
  constexpr std::uint64_t limit = std::numeric_limits<std::int32_t>::max();  // so that products of two fit 64 bits
  if (!field.is_number_integer() || field.get<std::uint64_t>() - 1 >= limit) {  // 0 and below wrap around
    refuse(fmt::format("'{}' to be an integer from 1 to {}", name, limit), shown(field));
  }
  return field.get<std::int64_t>();
}

double ConfigFields::positive_from(std::string_view name, const json& field) const {
  if (!field.is_number() || !(field.get<double>() > 0.0)) {
    refuse(fmt::format("'{}' to be a positive number", name), shown(field));
  }
  return field.get<double>();
}

}  // namespace anchorage::io
