#include "io/text/strict_json.hpp"

#include <algorithm>
#include <vector>

#include "io/files/lfs_pointer.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

constexpr std::size_t longest_shown = 300;  // bytes of a value in a message

[[noreturn]] void refuse_json(Diagnostic diagnostic, std::string found) {
  diagnostic.found = std::move(found);
  throw UserError(diagnostic);
}

void refuse_zero_byte(std::string_view text, const Diagnostic& diagnostic) {
  const std::size_t place = text.find('\0');
  if (place == text.npos) return;
  const auto line = std::ranges::count(text.substr(0, place), '\n') + 1;
  refuse_json(diagnostic,
              fmt::format("a zero byte at line {} (byte {}): the file is torn, or no text in UTF-8", line, place));
}

// Builds the value while the text is parsed, the only stage at which a repeated name is visible.
class Builder : public nlohmann::json_sax<json> {
 public:
  Builder(const Diagnostic& diagnostic, std::size_t max_depth) : diagnostic_(diagnostic), max_depth_(max_depth) {}

  json take() { return std::move(root_); }

  bool start_object(std::size_t /*size*/) override { return open(json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool null() override { return put(nullptr) != nullptr; }
  bool boolean(bool value) override { return put(value) != nullptr; }
  bool number_integer(json::number_integer_t value) override { return put(value) != nullptr; }
  bool number_unsigned(json::number_unsigned_t value) override { return put(value) != nullptr; }
  bool number_float(json::number_float_t value, const std::string& /*text*/) override {
    return put(value) != nullptr;
  }
  bool string(std::string& value) override { return put(std::move(value)) != nullptr; }
  bool binary(json::binary_t& /*value*/) override { return false; }  // JSON has none

  bool key(std::string& name) override {
    const auto [entry, is_new] = open_.back()->get_ref<json::object_t&>().try_emplace(std::move(name));
    member_ = &entry->second;
    if (is_new) return true;
    throw UserError({.expected = "each name once in a JSON object",
                     .found = fmt::format("'{}' twice", entry->first),
                     .where = diagnostic_.where,
                     .remedy = "remove one of the two"});
  }

  bool parse_error(std::size_t /*place*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    refuse_json(diagnostic_, std::string(error.what()).substr(0, longest_shown));
  }

 private:
  // Stores the value and returns its address.
  json* put(json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (open_.back()->is_array()) return &open_.back()->emplace_back(std::move(value));
    *member_ = std::move(value);
    return member_;
  }

  bool open(json empty) {
    open_.push_back(put(std::move(empty)));
    if (open_.size() <= max_depth_) return true;
    throw UserError({.expected = fmt::format("JSON nested at most {} deep", max_depth_),
                     .found = "deeper nesting",
                     .where = diagnostic_.where,
                     .remedy = "check that this is the right file"});
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const Diagnostic& diagnostic_;
  std::size_t max_depth_;
  json root_;
  std::vector<json*> open_;  // objects and arrays; only the last entry of each is open, so none moves
  json* member_ = nullptr;   // member of the innermost object, under the last name read
};

}  // namespace

json parse_strict_json(std::string_view text, const Diagnostic& diagnostic, std::size_t max_depth) {
  refuse_lfs_pointer(text, diagnostic.where);
  refuse_zero_byte(text, diagnostic);
  Builder builder(diagnostic, max_depth);
  json::sax_parse(text, &builder);
  return builder.take();
}

json parse_strict_json(std::string_view text, const std::string& where, std::size_t max_depth) {
  const Diagnostic diagnostic{
      .expected = "JSON", .found = {}, .where = where, .remedy = "fix the file or get it again"};
  return parse_strict_json(text, diagnostic, max_depth);
}

bool is_json(std::string_view text) {
  return text.find('\0') == text.npos && json::accept(text);
}

std::string shown(const json& value) {
  const std::string text = value.dump();
  return text.size() <= longest_shown ? text : text.substr(0, longest_shown) + "...";
}

}  // namespace anchorage::io
