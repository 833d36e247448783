// What `anchorage eval` prints: one document, or the lines of a table.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace anchorage::launch {

struct Report {
  nlohmann::json document = nlohmann::json::object();
  std::string table;
};

}  // namespace anchorage::launch
