// Reads the fields of one JSON object of a config.json by name.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::io {

// A null field counts as absent, as in transformers, and so does an empty name. All methods but `find` and `has`
// throw UserError, with `where`, for a field of another kind than they are asked for.
class ConfigFields {
 public:
  // Borrows the object.
  ConfigFields(const nlohmann::json& object, std::string where);

  const nlohmann::json* find(std::string_view name) const;  // null where it is absent
  bool has(std::string_view name) const;                    // also where it is null

  std::int64_t size(std::string_view name) const;  // from 1 to 2^31 - 1
  std::int64_t size_or(std::string_view name, std::int64_t otherwise) const;
  double positive(std::string_view name) const;
  double positive_or(std::string_view name, double otherwise) const;
  std::vector<double> positives(std::string_view name) const;  // a list
  bool flag_or(std::string_view name, bool otherwise) const;
  std::string text_or(std::string_view name, const std::string& otherwise) const;
  // Reads token ids: a number, a list of numbers, or null for none; `otherwise` where the field is absent.
  std::vector<std::int64_t> ids_or(std::string_view name, std::vector<std::int64_t> otherwise) const;

  [[noreturn]] void refuse(std::string expected, std::string found, std::string remedy = "fix the file") const;
  [[noreturn]] void refuse_unimplemented(std::string expected, std::string found) const;

  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& required(std::string_view name) const;
  std::int64_t size_from(std::string_view name, const nlohmann::json& field) const;
  double positive_from(std::string_view name, const nlohmann::json& field) const;

  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace anchorage::io
