#include "io/strict_json.hpp"

#include <set>
#include <vector>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

constexpr std::size_t longest_shown = 300;  // what was read may be long

// Sees the text pass by as it is parsed: the only place where a repeated name is visible.
class Watch {
 public:
  Watch(const std::string& where, std::size_t max_depth) : where_(where), max_depth_(max_depth) {}

  bool operator()(int /*depth*/, json::parse_event_t event, const json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
      case json::parse_event_t::array_start:
        enter();
        break;
      case json::parse_event_t::object_end:
      case json::parse_event_t::array_end:
        names_.pop_back();
        break;
      case json::parse_event_t::key:
        see(parsed.get_ref<const std::string&>());
        break;
      case json::parse_event_t::value:
        break;
    }
    return true;
  }

 private:
  void enter() {
    names_.emplace_back();
    if (names_.size() <= max_depth_) return;
    throw UserError({.expected = fmt::format("JSON nested at most {} deep", max_depth_),
                     .found = "deeper nesting",
                     .where = where_,
                     .remedy = "check that this is the right file"});
  }

  void see(const std::string& name) {
    if (names_.back().insert(name).second) return;
    throw UserError({.expected = "each name once in a JSON object",
                     .found = fmt::format("'{}' twice", name),
                     .where = where_,
                     .remedy = "remove one of the two"});
  }

  const std::string& where_;
  std::size_t max_depth_;
  std::vector<std::set<std::string>> names_;  // of the objects that are open; unused for arrays
};

}  // namespace

json parse_strict_json(std::string_view text, const std::string& where, std::size_t max_depth) {
  Watch watch(where, max_depth);
  try {
    return json::parse(text, std::ref(watch));
  } catch (const json::exception& error) {
    throw UserError({.expected = "JSON",
                     .found = std::string(error.what()).substr(0, longest_shown),
                     .where = where,
                     .remedy = "mend the file or get it again"});
  }
}

std::string shown(const json& value) {
  const std::string text = value.dump();
  return text.size() <= longest_shown ? text : text.substr(0, longest_shown) + "...";
}

}  // namespace anchorage::io
