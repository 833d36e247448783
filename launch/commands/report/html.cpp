#include "launch/commands/report/html.hpp"

#include <fmt/format.h>

#include "io/tokenizer/utf8.hpp"

namespace anchorage::launch {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F;
}

Markup opened(std::string_view name, std::initializer_list<Attribute> attributes) {
  std::string markup = fmt::format("<{}", name);
  for (const Attribute& attribute : attributes)
    markup += fmt::format(" {}=\"{}\"", attribute.name, escape_markup(attribute.value));
  return Markup::trusted(std::move(markup));
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string safe;
  for (const char c : io::with_replacement_characters(text)) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        is_control(c) ? safe += replacement : safe += c;
    }
  }
  return safe;
}

Markup Markup::text(std::string_view text) {
  return trusted(escape_markup(text));
}

Markup Markup::trusted(std::string markup) {
  Markup made;
  made.markup_ = std::move(markup);
  return made;
}

Markup& Markup::operator+=(const Markup& other) {
  markup_ += other.markup_;
  return *this;
}

Markup operator+(Markup left, const Markup& right) {
  left += right;
  return left;
}

Markup element(std::string_view name, std::initializer_list<Attribute> attributes, const Markup& content) {
  return opened(name, attributes) + Markup::trusted(">") + content + Markup::trusted(fmt::format("</{}>", name));
}

Markup element(std::string_view name, std::initializer_list<Attribute> attributes, std::string_view text) {
  return element(name, attributes, Markup::text(text));
}

Markup element(std::string_view name, std::initializer_list<Attribute> attributes) {
  return opened(name, attributes) + Markup::trusted("/>");
}

std::string coordinate(double value) {
  std::string text = fmt::format("{:.1f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

Markup svg_text(double x, double y, std::string_view text, std::string_view anchor) {
  if (anchor == "start") return element("text", {{"x", coordinate(x)}, {"y", coordinate(y)}}, text);
  return element("text", {{"x", coordinate(x)}, {"y", coordinate(y)}, {"text-anchor", std::string(anchor)}}, text);
}

Markup svg_box(const Box& box, std::initializer_list<Attribute> attributes, std::string_view tip) {
  Markup markup = opened("rect", {{"x", coordinate(box.x)},
                                  {"y", coordinate(box.y)},
                                  {"width", coordinate(box.width)},
                                  {"height", coordinate(box.height)}});
  for (const Attribute& attribute : attributes)
    markup += Markup::trusted(fmt::format(" {}=\"{}\"", attribute.name, escape_markup(attribute.value)));
  return markup + Markup::trusted(">") + element("title", {}, tip) + Markup::trusted("</rect>");
}

}  // namespace anchorage::launch
