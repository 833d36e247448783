// Markup of HTML and SVG that is escaped by its type: text from files enters it in one way only.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace anchorage::launch {

// Replaces the characters that end a text or an attribute's quoted value (& < > " ') by references; bytes that are
// not UTF-8 and characters that HTML does not allow become U+FFFD.
std::string escape_markup(std::string_view text);

// A well-formed piece of HTML or SVG.
class Markup {
 public:
  Markup() = default;
  // Shows the text as it is, whatever it contains.
  static Markup text(std::string_view text);
  // Takes markup that this program wrote itself, never what comes from a file.
  static Markup trusted(std::string markup);

  const std::string& str() const { return markup_; }
  bool empty() const { return markup_.empty(); }
  Markup& operator+=(const Markup& other);

 private:
  std::string markup_;
};

Markup operator+(Markup left, const Markup& right);

// The value is escaped where it is written.
struct Attribute {
  std::string_view name;
  std::string value;
};

Markup element(std::string_view name, std::initializer_list<Attribute> attributes, const Markup& content);
// Escapes the text.
Markup element(std::string_view name, std::initializer_list<Attribute> attributes, std::string_view text);
// Without content: <path .../>, <input .../>.
Markup element(std::string_view name, std::initializer_list<Attribute> attributes);

// A coordinate in user units, which are about a pixel, with at most one decimal: "12", "-0.5".
std::string coordinate(double value);

// A text in a picture; `anchor` is the end that `x` gives: start, middle or end.
Markup svg_text(double x, double y, std::string_view text, std::string_view anchor = "start");

// A rectangle that shows `tip` where one points at it.
struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};
Markup svg_box(const Box& box, std::initializer_list<Attribute> attributes, std::string_view tip);

}  // namespace anchorage::launch
