#include "launch/program/number_checks.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace anchorage::launch {
namespace {

// Parses the whole text as a number; returns false where it is not one, or does not fit.
template <class Number>
bool parse(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

}  // namespace

CLI::Validator number_above_zero() {
  const auto check = [](const std::string& text) {
    double number = 0;
    if (parse(text, number) && std::isfinite(number) && number > 0) return std::string();
    return fmt::format("expected a number above 0, found {}", text);
  };
  return {check, "NUMBER"};
}

CLI::Validator whole_number(std::int64_t least, std::int64_t most) {
  const auto check = [least, most](const std::string& text) {
    std::int64_t number = 0;
    if (parse(text, number) && least <= number && number <= most) return std::string();
    return fmt::format("expected a whole number from {} to {}, found {}", least, most, text);
  };
  return {check, fmt::format("NUMBER of at least {}", least)};
}

}  // namespace anchorage::launch
