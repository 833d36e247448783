// Formats figures of an evaluation that may not have been measured: null in JSON, "-" in text.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace anchorage::launch {

inline nlohmann::json number_or_null(const std::optional<double>& measured) {
  return measured ? nlohmann::json(*measured) : nlohmann::json();
}

inline std::string number_or_dash(const std::optional<double>& measured, int decimals = 3) {
  return measured ? fmt::format("{:.{}f}", *measured, decimals) : "-";
}

}  // namespace anchorage::launch
