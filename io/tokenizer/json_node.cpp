#include "io/tokenizer/json_node.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "io/error.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

const nlohmann::json& nothing() {
  static const nlohmann::json null;
  return null;
}

}  // namespace

JsonNode::JsonNode(const nlohmann::json& root, const std::string& file) : JsonNode(&root, &file, "") {}

JsonNode::JsonNode(const nlohmann::json* value, const std::string* file, std::string place)
    : value_(value), file_(file), place_(std::move(place)) {}

JsonNode JsonNode::member(std::string_view key) const {
  if (!value_->is_object()) refuse("an object", shown());
  const auto found = value_->find(key);
  std::string place = place_.empty() ? std::string(key) : fmt::format("{}.{}", place_, key);
  return {found == value_->end() ? &nothing() : &*found, file_, std::move(place)};
}

std::vector<JsonNode> JsonNode::elements() const {
  if (!value_->is_array()) refuse("an array", shown());
  std::vector<JsonNode> nodes;
  nodes.reserve(value_->size());
  for (const auto& element : *value_) {
    nodes.push_back({&element, file_, fmt::format("{}[{}]", place_, nodes.size())});
  }
  return nodes;
}

std::string JsonNode::text() const {
  if (!value_->is_string()) refuse("a string", shown());
  return value_->get<std::string>();
}

bool JsonNode::flag() const {
  if (!value_->is_boolean()) refuse("true or false", shown());
  return value_->get<bool>();
}

std::int32_t JsonNode::count() const {
  constexpr std::uint64_t largest = std::numeric_limits<std::int32_t>::max() - 1;  // leaves room for one more
  if (!value_->is_number_unsigned() || value_->get<std::uint64_t>() > largest) {
    refuse(fmt::format("a whole number from 0 to {}", largest), shown());
  }
  return value_->get<std::int32_t>();
}

char32_t JsonNode::character() const {
  const std::u32string characters = code_points(text());
  if (characters.size() != 1) refuse("a single character", shown());
  return characters.front();
}

void JsonNode::allow_only(std::initializer_list<std::string_view> known) const {
  if (!value_->is_object()) refuse("an object", shown());
  for (const auto& [key, unused] : value_->items()) {
    if (key != "type" && std::find(known.begin(), known.end(), key) == known.end()) {
      not_implemented(fmt::format("the member \"{}\"", key));
    }
  }
}

void JsonNode::refuse(const std::string& expected, const std::string& found) const {
  const std::string where = place_.empty() ? *file_ : fmt::format("{}, at {}", *file_, place_);
  throw UserError({.expected = expected,
                   .found = found,
                   .where = where,
                   .remedy = "use the tokenizer.json that came with the model"});
}

void JsonNode::not_implemented(const std::string& what) const {
  const std::string where = place_.empty() ? *file_ : fmt::format("{}, at {}", *file_, place_);
  throw UserError(
      {.expected = "a tokenizer of the kinds that are implemented (byte-level BPE, BPE with byte fallback)",
       .found = what,
       .where = where,
       .remedy = "use a model whose tokenizer does without it"});
}

std::string JsonNode::shown() const {
  if (value_->is_null()) return "nothing";
  if (value_->is_structured()) return fmt::format("an {}", value_->type_name());  // may be nested without end
  constexpr std::size_t longest = 60;
  std::string dump = value_->dump(-1, ' ', true);
  if (dump.size() > longest) dump = dump.substr(0, longest) + "...";
  return dump;
}

}  // namespace anchorage::io
