// What an export has to say, on the screen, in JSON and in its model card.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace anchorage::launch {

struct ExportReport {
  nlohmann::json document = nlohmann::json::object();
  std::string text;               // lines
  std::vector<std::string> card;  // sentences of the model card that are true of this export alone
};

}  // namespace anchorage::launch
