#include "io/edits/edit_ids.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string_view>

namespace anchorage::io {

void set_aside_shared_ids(EditsFile& file) {
  std::map<std::string_view, std::size_t> first_of;
  set_aside(file, [&](std::size_t i) -> std::optional<std::string> {
    const std::size_t first = first_of.try_emplace(file.edits[i].id, i).first->second;
    if (file.edits[i].asks_the_same_as(file.edits[first])) return std::nullopt;
    return fmt::format("id '{}' is that of another fact, at {}; give it one of its own", file.edits[i].id,
                       file.places[first]);
  });
}

}  // namespace anchorage::io
