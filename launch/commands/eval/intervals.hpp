// Writes figures with their 95 % intervals: [low, high] in JSON, "0.980 [0.951, 1.000]" in text.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "launch/program/measured.hpp"
#include "worker/evaluation/bootstrap.hpp"

namespace anchorage::launch {

inline nlohmann::json interval_or_null(const std::optional<worker::Interval>& interval) {
  return interval ? nlohmann::json{interval->low, interval->high} : nlohmann::json();
}

// Returns the figure alone where it has no interval, "-" where it was not measured.
inline std::string with_interval(const std::optional<double>& measured,
                                 const std::optional<worker::Interval>& interval, int decimals = 3) {
  std::string figure = number_or_dash(measured, decimals);
  if (!measured || !interval) return figure;
  return fmt::format("{} [{:.{}f}, {:.{}f}]", figure, interval->low, decimals, interval->high, decimals);
}

}  // namespace anchorage::launch
