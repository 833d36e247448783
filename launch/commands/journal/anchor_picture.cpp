#include "launch/commands/journal/anchor_picture.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "launch/commands/report/html.hpp"

namespace anchorage::launch {
namespace {

// In user units, which a browser shows as pixels.
constexpr double width = 760, margin = 60, panel = 120, gap = 28, head = 56;
constexpr const char *kept_color = "#4477aa", *entered_color = "#66ccee", *left_color = "#ee6677";

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

Markup panel_of(std::int64_t layer, const std::vector<AnchorCounts>& batches, double top, const Scale& scale) {
  const double axis = top + scale.above * scale.unit(), slot = scale.slot(), bar_width = std::max(0.5, 0.8 * slot);
  Markup svg = svg_text(4, axis - 4, fmt::format("layer {}", layer));
  svg += svg_text(width - margin + 6, top + 10, fmt::format("{:.0f}", scale.above));
  for (const AnchorCounts& one : batches) {
    const double x = margin + static_cast<double>(one.batch - scale.first) * slot + 0.1 * slot;
    const double kept = static_cast<double>(one.kept) * scale.unit();
    const double entered = static_cast<double>(one.entered) * scale.unit();
    const double left = static_cast<double>(one.left) * scale.unit();
    const auto tip = [&](const char* what, std::int64_t count) {
      return fmt::format("layer {}, batch {}: {} dimensions {}", layer, one.batch, count, what);
    };
    svg += svg_box({x, axis - kept, bar_width, kept}, {{"fill", kept_color}}, tip("kept", one.kept));
    svg += svg_box({x, axis - kept - entered, bar_width, entered}, {{"fill", entered_color}},
                   tip("entered", one.entered));
    svg += svg_box({x, axis, bar_width, left}, {{"fill", left_color}}, tip("left", one.left));
  }
  svg += element("line", {{"x1", coordinate(margin)},
                          {"x2", coordinate(width - margin)},
                          {"y1", coordinate(axis)},
                          {"y2", coordinate(axis)},
                          {"stroke", "#444"}});
  return svg;
}

Markup legend() {
  Markup svg;
  double x = margin;
  for (const auto& [color, name] :
       {std::pair{kept_color, "kept"}, {entered_color, "entered"}, {left_color, "left"}}) {
    svg += svg_box({x, 32, 12, 12}, {{"fill", color}}, name);
    svg += svg_text(x + 17, 42, name);
    x += 90;
  }
  return svg;
}

}  // namespace

std::string anchor_picture(const AnchorHistory& history, const std::string& title) {
  const Scale scale(history);
  const double height = head + static_cast<double>(history.size()) * (panel + gap) + 24;
  Markup svg = svg_box({0, 0, width, height}, {{"fill", "white"}}, title);
  svg += svg_text(margin, 20, title + ": active anchors, batch by batch");
  svg += legend();
  double top = head;
  for (const auto& [layer, batches] : history) {
    svg += panel_of(layer, batches, top, scale);
    top += panel + gap;
  }
  svg += svg_text(margin, height - 8, fmt::format("batch {}", scale.first));
  svg += svg_text(width - margin, height - 8, fmt::format("batch {}", scale.last), "end");
  return element("svg",
                 {{"xmlns", "http://www.w3.org/2000/svg"},
                  {"viewBox", fmt::format("0 0 {} {}", width, height)},
                  {"width", coordinate(width)},
                  {"height", coordinate(height)},
                  {"font-family", "sans-serif"},
                  {"font-size", "12"}},
                 svg)
             .str() +
         "\n";
}

}  // namespace anchorage::launch
