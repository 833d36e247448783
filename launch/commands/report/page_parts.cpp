#include <fmt/format.h>

#include "launch/commands/report/sections.hpp"

namespace anchorage::launch {

Markup figure(std::string_view heading, std::string_view meaning, const Markup& picture) {
  if (picture.empty()) return {};
  return element("figure", {},
                 element("figcaption", {}, element("b", {}, heading) + element("span", {}, meaning)) + picture);
}

Markup table_box(std::string_view name, std::string_view caption, const Markup& head, const Markup& body) {
  return element(
      "div", {{"class", "scroll"}, {"role", "region"}, {"tabindex", "0"}, {"aria-label", std::string(name)}},
      element("table", {},
              element("caption", {}, caption) + element("thead", {}, head) + element("tbody", {}, body)));
}

Markup heading_row(std::span<const Column> columns) {
  Markup cells;
  for (const auto& [name, align] : columns) {
    cells += align == Align::left ? element("th", {{"scope", "col"}, {"class", "text"}}, name)
                                  : element("th", {{"scope", "col"}}, name);
  }
  return element("tr", {}, cells);
}

std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t digits = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > digits + 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string counted(std::int64_t number, std::string_view thing) {
  const bool sibilant = thing.ends_with("ch");
  return fmt::format("{} {}{}", with_commas(number), thing, number == 1 ? "" : sibilant ? "es" : "s");
}

std::string or_dash(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "\u2013";
}

}  // namespace anchorage::launch
