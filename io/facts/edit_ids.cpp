#include "io/facts/edit_ids.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace anchorage::io {

void set_aside_shared_ids(EditsFile& file) {
  const std::vector<Edit> edits = std::exchange(file.edits, {});
  const std::vector<std::string> places = std::exchange(file.places, {});
  std::map<std::string_view, std::size_t> first_of;
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const std::size_t first = first_of.try_emplace(edits[i].id, i).first->second;
    if (edits[i].asks_the_same_as(edits[first])) {
      file.edits.push_back(edits[i]);
      file.places.push_back(places[i]);
      continue;
    }
    file.rejected.push_back({.where = places[i],
                             .reason = fmt::format("id '{}' is that of another fact, at {}; give it one of its own",
                                                   edits[i].id, places[first])});
  }
}

}  // namespace anchorage::io
