#include "launch/commands/journal/anchor_picture.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace anchorage::launch {
namespace {

// In user units, which a browser shows as pixels.
constexpr double width = 760, margin = 60, panel = 120, gap = 28, head = 56;
constexpr const char *kept_color = "#4477aa", *entered_color = "#66ccee", *left_color = "#ee6677";

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      safe += fmt::format("&#{};", static_cast<int>(c));
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string label(double x, double y, const std::string& text, const char* anchor = "start") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, escaped(text));
}

// Draws a bar from `y` down by `height`; hovering over it shows `tip`.
std::string bar(double x, double y, double bar_width, double height, const char* color, const std::string& tip) {
  return fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"><title>{}</title></rect>\n",
      x, y, bar_width, height, color, escaped(tip));
}

// What all panels share, so that layers can be compared.
struct Scale {
  double above = 1;  // most dimensions above the axis, and below it
  double below = 0;
  std::int64_t first = 0, last = 0;  // batches

  explicit Scale(const AnchorHistory& history) {
    bool any = false;
    for (const auto& [layer, batches] : history) {
      for (const AnchorCounts& one : batches) {
        above = std::max(above, static_cast<double>(one.kept + one.entered));
        below = std::max(below, static_cast<double>(one.left));
        first = any ? std::min(first, one.batch) : one.batch;
        last = std::max(last, one.batch);
        any = true;
      }
    }
  }
  double unit() const { return panel / (above + below); }
  double slot() const { return (width - 2 * margin) / static_cast<double>(last - first + 1); }
};

std::string panel_of(std::int64_t layer, const std::vector<AnchorCounts>& batches, double top, const Scale& scale) {
  const double axis = top + scale.above * scale.unit(), slot = scale.slot(), bar_width = std::max(0.5, 0.8 * slot);
  std::string svg = label(4, axis - 4, fmt::format("layer {}", layer));
  svg += label(width - margin + 6, top + 10, fmt::format("{:.0f}", scale.above));
  for (const AnchorCounts& one : batches) {
    const double x = margin + static_cast<double>(one.batch - scale.first) * slot + 0.1 * slot;
    const double kept = static_cast<double>(one.kept) * scale.unit();
    const double entered = static_cast<double>(one.entered) * scale.unit();
    const double left = static_cast<double>(one.left) * scale.unit();
    const auto tip = [&](const char* what, std::int64_t count) {
      return fmt::format("layer {}, batch {}: {} dimensions {}", layer, one.batch, count, what);
    };
    svg += bar(x, axis - kept, bar_width, kept, kept_color, tip("kept", one.kept));
    svg += bar(x, axis - kept - entered, bar_width, entered, entered_color, tip("entered", one.entered));
    svg += bar(x, axis, bar_width, left, left_color, tip("left", one.left));
  }
  svg += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.2f}\" y2=\"{2:.2f}\" stroke=\"#444\"/>\n", margin,
                     width - margin, axis);
  return svg;
}

std::string legend() {
  std::string svg;
  double x = margin;
  for (const auto& [color, name] :
       {std::pair{kept_color, "kept"}, {entered_color, "entered"}, {left_color, "left"}}) {
    svg += fmt::format("<rect x=\"{}\" y=\"32\" width=\"12\" height=\"12\" fill=\"{}\"/>\n", x, color);
    svg += label(x + 17, 42, name);
    x += 90;
  }
  return svg;
}

}  // namespace

std::string anchor_picture(const AnchorHistory& history, const std::string& title) {
  const Scale scale(history);
  const double height = head + static_cast<double>(history.size()) * (panel + gap) + 24;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height);
  svg += label(margin, 20, title + ": active anchors, batch by batch");
  svg += legend();
  double top = head;
  for (const auto& [layer, batches] : history) {
    svg += panel_of(layer, batches, top, scale);
    top += panel + gap;
  }
  svg += label(margin, height - 8, fmt::format("batch {}", scale.first));
  svg += label(width - margin, height - 8, fmt::format("batch {}", scale.last), "end");
  return svg + "</svg>\n";
}

}  // namespace anchorage::launch
