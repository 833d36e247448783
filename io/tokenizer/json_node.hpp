// A value of tokenizer.json together with its place, so that every diagnostic names the file and the place in it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace anchorage::io {

// Borrows the JSON value and the file's name: both outlive it.
class JsonNode {
 public:
  JsonNode(const nlohmann::json& root, const std::string& file);

  const nlohmann::json& value() const { return *value_; }
  bool is_null() const { return value_->is_null(); }

  // Returns the member `key` of an object; null when it is absent.
  JsonNode member(std::string_view key) const;
  bool has(std::string_view key) const { return !member(key).is_null(); }
  // Throws UserError when this is not an array.
  std::vector<JsonNode> elements() const;

  // These throw UserError when this has another type, or is absent.
  std::string text() const;
  bool flag() const;
  std::int32_t count() const;  // [0, 2^31 - 1)
  // Reads a text of exactly one character.
  char32_t character() const;

  bool flag_or(bool fallback) const { return is_null() ? fallback : flag(); }

  // Returns the member "type" of an object.
  std::string type() const { return member("type").text(); }

  // Throws UserError when this is not an object or has members other than `known`: a member that is ignored
  // may change the ids. "type" is always known.
  void allow_only(std::initializer_list<std::string_view> known) const;

  [[noreturn]] void refuse(const std::string& expected, const std::string& found) const;
  // Refuses what `tokenizers` implements and this reader does not.
  [[noreturn]] void not_implemented(const std::string& what) const;

 private:
  JsonNode(const nlohmann::json* value, const std::string* file, std::string place);

  std::string shown() const;

  const nlohmann::json* value_;
  const std::string* file_;
  std::string place_;  // "pre_tokenizer.pretokenizers[0]"; empty for the root
};

}  // namespace anchorage::io
