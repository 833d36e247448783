#include "launch/commands/report/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

namespace anchorage::launch {
namespace {

constexpr std::size_t colors = 8, dashes = 4;

// Around the center, about 8 units wide: circle, square, triangles, diamond, cross, plus, star.
constexpr std::array<const char*, colors> markers{
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0-7.2 0z",
    "M-3.2-3.2h6.4v6.4h-6.4z",
    "M0-4.2L4.2 3.2H-4.2z",
    "M0-4.6L4.6 0L0 4.6L-4.6 0z",
    "M0 4.2L4.2-3.2H-4.2z",
    "M-4-2.6L-2.6-4L0-1.4L2.6-4L4-2.6L1.4 0L4 2.6L2.6 4L0 1.4L-2.6 4L-4 2.6L-1.4 0z",
    "M-1.2-4.2h2.4v3h3v2.4h-3v3h-2.4v-3h-3v-2.4h3z",
    "M0-4.8L1.3-1.5L4.8-1.4L2-.1L2.9 4L0 1.6L-2.9 4L-2-.1L-4.8-1.4L-1.3-1.5z"};

// No two of the first 32 styles agree in color, dashes and marker; those of one color differ in the other two.
std::string style_classes(std::size_t style) {
  return fmt::format("m{} c{} d{}", style, style % colors, (style + style / colors) % dashes);
}

std::string marker_of(std::size_t style) {
  return fmt::format("#k{}", (style + style / colors) % markers.size());
}

Markup marker(std::size_t style, double x, double y) {
  return element("use", {{"href", marker_of(style)}, {"x", coordinate(x)}, {"y", coordinate(y)}});
}

// The rectangle in which values lie, in user units.
struct Plot {
  double left, top, right, bottom;
};

Markup line(double x1, double y1, double x2, double y2, std::string_view style) {
  return element(
      "path", {{"class", std::string(style)},
               {"d", fmt::format("M{} {}L{} {}", coordinate(x1), coordinate(y1), coordinate(x2), coordinate(y2))}});
}

// `most` is how many pixels a user unit gets at most.
Markup picture(const Caption& caption, double width, double height, double most, std::string_view style,
               const Markup& content) {
  const Markup inside = element("title", {{"id", caption.id + "-title"}}, caption.title) +
                        element("desc", {{"id", caption.id + "-desc"}}, caption.description) + content;
  return element("svg",
                 {{"class", std::string(style)},
                  {"role", "img"},
                  {"aria-labelledby", fmt::format("{0}-title {0}-desc", caption.id)},
                  {"style", fmt::format("max-width:{}px", coordinate(std::round(most * width)))},
                  {"viewBox", fmt::format("0 0 {} {}", coordinate(width), coordinate(height))}},
                 inside);
}

// How many ticks apart a label fits next to the one before it.
std::size_t labeled_every(std::size_t ticks, double width, double label) {
  const double fit = std::max(1.0, std::floor(width / label));
  return static_cast<std::size_t>(std::max(1.0, std::ceil(static_cast<double>(ticks) / fit)));
}

Markup frame(const Plot& plot, const Axis& x, const Axis& y, std::string_view x_label) {
  Markup markup;
  for (const double tick : y.ticks) {
    const double place = y.place(tick, plot.bottom, plot.top);
    markup += line(plot.left, place, plot.right, place, "grid");
    markup += element("text", {{"class", "y"}, {"x", coordinate(plot.left - 6)}, {"y", coordinate(place + 4)}},
                      tick_text(y, tick));
  }
  const std::size_t every = labeled_every(x.ticks.size(), plot.right - plot.left, 44);
  for (std::size_t i = 0; i < x.ticks.size(); ++i) {
    const double place = x.place(x.ticks[i], plot.left, plot.right);
    markup += line(place, plot.bottom, place, plot.bottom + 4, "axis");
    if (i % every == 0) {
      markup += element("text", {{"class", "x"}, {"x", coordinate(place)}, {"y", coordinate(plot.bottom + 16)}},
                        tick_text(x, x.ticks[i]));
    }
  }
  markup += line(plot.left, plot.bottom, plot.right, plot.bottom, "axis");
  return markup + element("text",
                          {{"class", "x label"},
                           {"x", coordinate((plot.left + plot.right) / 2)},
                           {"y", coordinate(plot.bottom + 31)}},
                          x_label);
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  void take(const std::optional<Interval>& interval) {
    if (!interval) return;
    take(interval->low);
    take(interval->high);
  }
  bool empty() const { return low > high; }
};

double step_of(double span, double parts) {
  const double rough = span / parts, power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// The multiples of a step from `low` to `high`, computed as products: 0.3 is the same bits wherever an axis begins.
std::vector<double> multiples(double step, double low, double high) {
  std::vector<double> ticks;
  const auto first = std::llround(std::ceil(low / step - 1e-6));
  const auto last = std::llround(std::floor(high / step + 1e-6));
  for (auto i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

Axis logarithmic_axis(double low, double high) {
  Axis axis{.ticks = {}, .spacing = Spacing::logarithmic};
  const auto first = std::lround(std::floor(std::log10(low))), last = std::lround(std::ceil(std::log10(high)));
  const bool few = last - first < 3;
  for (auto power = first; power <= last; ++power) {
    for (const double factor : few ? std::vector{1.0, 2.0, 5.0} : std::vector{1.0})
      axis.ticks.push_back(factor * std::pow(10.0, static_cast<double>(power)));
  }
  // Ends with the ticks next to the values.
  while (axis.ticks.size() > 2 && axis.ticks[1] <= low) axis.ticks.erase(axis.ticks.begin());
  while (axis.ticks.size() > 2 && axis.ticks[axis.ticks.size() - 2] >= high) axis.ticks.pop_back();
  axis.low = axis.ticks.front();
  axis.high = axis.ticks.back();
  return axis;
}

std::string path_through(const std::vector<std::pair<double, double>>& places) {
  std::string path;
  for (const auto& [x, y] : places)
    path += fmt::format("{}{} {}", path.empty() ? "M" : "L", coordinate(x), coordinate(y));
  return path;
}

// Calls `draw` with the first and the last+1 of each longest stretch of points that all have an interval.
template <class Draw>
void for_each_stretch(const std::vector<ChartPoint>& points, const Draw& draw) {
  for (std::size_t first = 0; first < points.size();) {
    std::size_t end = first;
    while (end < points.size() && points[end].interval) ++end;
    if (end > first) draw(first, end);
    first = std::max(end, first + 1);
  }
}

Markup bands(const ChartSeries& series, const Plot& plot, const Axis& x, const Axis& y) {
  Markup markup;
  const auto at = [&](const ChartPoint& point, double value) {
    return std::pair(x.place(point.x, plot.left, plot.right), y.place(value, plot.bottom, plot.top));
  };
  for_each_stretch(series.points, [&](std::size_t first, std::size_t end) {
    if (end - first == 1) {
      const ChartPoint& point = series.points[first];
      const auto [place, low] = at(point, point.interval->low);
      markup += line(place, low, place, at(point, point.interval->high).second, "whisker");
      return;
    }
    std::vector<std::pair<double, double>> around;
    for (std::size_t i = first; i < end; ++i)
      around.push_back(at(series.points[i], series.points[i].interval->high));
    for (std::size_t i = end; i-- > first;) around.push_back(at(series.points[i], series.points[i].interval->low));
    markup += element("path", {{"class", "band"}, {"d", path_through(around) + "z"}});
  });
  return markup;
}

Markup drawn(const ChartSeries& series, const Plot& plot, const Axis& x, const Axis& y) {
  Markup markup = bands(series, plot, x, y);
  std::vector<std::pair<double, double>> places;
  for (const ChartPoint& point : series.points)
    places.emplace_back(x.place(point.x, plot.left, plot.right), y.place(point.y, plot.bottom, plot.top));
  markup += element("path", {{"class", "line"}, {"d", path_through(places)}});
  for (std::size_t i = 0; i < places.size(); ++i) {
    const auto [place_x, place_y] = places[i];
    markup +=
        element("use", {{"href", marker_of(series.style)}, {"x", coordinate(place_x)}, {"y", coordinate(place_y)}},
                element("title", {}, series.points[i].tip));
  }
  return element("g", {{"class", "series " + style_classes(series.style)}}, markup);
}

// Where the labels of one state are: each finds a place beside its marker that no other label and no marker covers.
class LabelPlaces {
 public:
  explicit LabelPlaces(const Plot& plot) : plot_(plot) {}

  void add_marker(double x, double y) { taken_.push_back({x - 5, y - 5, 10, 10}); }

  // Returns x and the baseline's y of a text that starts there; nothing where there is no room.
  std::optional<std::pair<double, double>> find(double x, double y, std::size_t letters) {
    const double width = 6.3 * static_cast<double>(letters) + 2, height = 12;
    for (const double away : {0.0, 8.0, 16.0, 26.0}) {
      for (const Box& box :
           {Box{x + 8, y - 6 - away, width, height}, Box{x + 8, y - 6 + away, width, height},
            Box{x - 8 - width, y - 6 - away, width, height}, Box{x - 8 - width, y - 6 + away, width, height},
            Box{x - width / 2, y - 19 - away, width, height}, Box{x - width / 2, y + 7 + away, width, height}}) {
        if (!is_free(box)) continue;
        taken_.push_back(box);
        return std::pair(box.x + 1, box.y + 10);
      }
    }
    return std::nullopt;
  }

 private:
  bool is_free(const Box& box) const {
    if (box.x < plot_.left + 1 || box.x + box.width > plot_.right || box.y < plot_.top ||
        box.y + box.height > plot_.bottom)
      return false;
    return std::ranges::none_of(taken_, [&](const Box& other) {
      return box.x < other.x + other.width && other.x < box.x + box.width && box.y < other.y + other.height &&
             other.y < box.y + box.height;
    });
  }

  Plot plot_;
  std::vector<Box> taken_;
};

// The places of all labels, by series and point.
std::vector<std::vector<std::optional<std::pair<double, double>>>> label_places(const Frontier& frontier,
                                                                                const Plot& plot, const Axis& x,
                                                                                const Axis& y) {
  std::map<std::size_t, LabelPlaces> of_state;
  const auto for_each = [&](const auto& act) {
    for (std::size_t i = 0; i < frontier.series.size(); ++i) {
      for (std::size_t j = 0; j < frontier.series[i].points.size(); ++j) {
        const FrontierPoint& point = frontier.series[i].points[j];
        act(i, j, of_state.try_emplace(point.state, plot).first->second, x.place(point.x, plot.left, plot.right),
            y.place(point.y, plot.bottom, plot.top));
      }
    }
  };
  std::vector<std::vector<std::optional<std::pair<double, double>>>> places(frontier.series.size());
  for_each([&](std::size_t, std::size_t, LabelPlaces& state, double at_x, double at_y) {
    state.add_marker(at_x, at_y);
  });
  for_each([&](std::size_t i, std::size_t, LabelPlaces& state, double at_x, double at_y) {
    places[i].push_back(state.find(at_x, at_y, frontier.series[i].name.size()));
  });
  return places;
}

// Eight steps: more shades are hard to tell apart.
Markup heat_scale(double x, double y, double most) {
  Markup markup = svg_text(x, y + 10, "0", "end");
  for (int i = 0; i < 8; ++i) {
    const double share = i / 7.0;
    markup +=
        element("rect", {{"class", "heat"},
                         {"x", coordinate(x + 6 + 14 * i)},
                         {"y", coordinate(y)},
                         {"width", "14"},
                         {"height", "12"},
                         {"fill-opacity", fmt::format("{:.3f}", least_opacity + (1 - least_opacity) * share)}});
  }
  return markup + svg_text(x + 6 + 14 * 8 + 6, y + 10, fmt::format("{:.0f}", most));
}

}  // namespace

double Axis::place(double value, double from, double to) const {
  if (high == low) return (from + to) / 2;
  const double share = spacing == Spacing::linear
                           ? (value - low) / (high - low)
                           : (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low));
  return from + share * (to - from);
}

Axis axis_over(double low, double high, Spacing spacing) {
  if (spacing == Spacing::logarithmic && low > 0 && high / low >= 30) return logarithmic_axis(low, high);
  if (high <= low) {
    const double room = low == 0 ? 0.5 : 0.1 * std::abs(low);
    return axis_over(low - room, low + room);
  }
  const double step = step_of(high - low, 4.5);
  Axis axis{.low = std::floor(low / step + 1e-6) * step, .high = std::ceil(high / step - 1e-6) * step, .ticks = {}};
  axis.ticks = multiples(step, axis.low, axis.high);
  axis.low = axis.ticks.front();
  axis.high = axis.ticks.back();
  return axis;
}

Axis axis_within(const Axis& axis, const Interval& limits) {
  Axis within = axis;
  within.low = std::max(axis.low, limits.low);
  within.high = std::min(axis.high, limits.high);
  std::erase_if(within.ticks, [&](double tick) { return tick < within.low || tick > within.high; });
  for (const double end : {within.low, within.high}) {
    if (std::ranges::find(within.ticks, end) == within.ticks.end()) within.ticks.push_back(end);
  }
  std::ranges::sort(within.ticks);
  return within;
}

Axis exact_axis_over(double low, double high) {
  if (high <= low) return {.low = low - 0.5, .high = low + 0.5, .ticks = {low}};
  const double step = std::max(1.0, step_of(high - low, 6));
  return {.low = low, .high = high, .ticks = multiples(step, low, high)};
}

std::string tick_text(const Axis& axis, double tick) {
  if (axis.spacing == Spacing::logarithmic) return fmt::format("{:g}", tick);
  const double step = axis.ticks.size() > 1 ? axis.ticks[1] - axis.ticks[0] : 1;
  int decimals = 0;
  while (decimals < 9 && std::abs(step * std::pow(10, decimals) - std::round(step * std::pow(10, decimals))) > 1e-6)
    ++decimals;
  std::string text = fmt::format("{:.{}f}", tick, decimals);
  const auto point = std::min(text.find('.'), text.size());
  for (auto at = point; at > (text.front() == '-' ? 4U : 3U); at -= 3) text.insert(at - 3, ",");
  return text;
}

Markup line_chart(const LineChart& chart) {
  const bool is_large = chart.size == ChartSize::large;
  const double width = is_large ? 560 : 360, height = is_large ? 420 : 236;
  const Plot plot{46, 10, width - 10, height - 44};
  Range x_range, y_range;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      x_range.take(point.x);
      y_range.take(point.y);
      y_range.take(point.interval);
    }
  }
  if (x_range.empty()) return {};
  const Axis x = exact_axis_over(x_range.low, x_range.high);
  Axis y = axis_over(y_range.low, y_range.high, chart.y_spacing);
  if (chart.y_limits) y = axis_within(y, *chart.y_limits);
  Markup markup = frame(plot, x, y, chart.x_label);
  for (const ChartSeries& series : chart.series) markup += drawn(series, plot, x, y);
  return picture(chart.caption, width, height, 1.5, "chart", markup);
}

Markup frontier_chart(const Frontier& frontier) {
  constexpr double width = 560, height = 420;
  constexpr Plot plot{52, 26, 546, 376};
  Range x_range, y_range;
  for (const FrontierSeries& series : frontier.series) {
    for (const FrontierPoint& point : series.points) {
      x_range.take(point.x);
      x_range.take(point.x_interval);
      y_range.take(point.y);
      y_range.take(point.y_interval);
    }
  }
  if (x_range.empty()) return {};
  const Axis x = axis_over(x_range.low, x_range.high), y = axis_over(y_range.low, y_range.high);
  const auto labels = label_places(frontier, plot, x, y);
  Markup markup = frame(plot, x, y, frontier.x_label);
  markup += element("text", {{"class", "label"}, {"x", "6"}, {"y", "14"}}, frontier.y_label);
  for (std::size_t i = 0; i < frontier.series.size(); ++i) {
    const FrontierSeries& series = frontier.series[i];
    std::vector<std::pair<double, double>> places;
    Markup dots, states;
    for (std::size_t j = 0; j < series.points.size(); ++j) {
      const FrontierPoint& point = series.points[j];
      const double at_x = x.place(point.x, plot.left, plot.right), at_y = y.place(point.y, plot.bottom, plot.top);
      places.emplace_back(at_x, at_y);
      dots += element("circle", {{"cx", coordinate(at_x)}, {"cy", coordinate(at_y)}, {"r", "1.6"}});
      Markup state = element("title", {}, point.tip);
      if (point.x_interval) {
        state += line(x.place(point.x_interval->low, plot.left, plot.right), at_y,
                      x.place(point.x_interval->high, plot.left, plot.right), at_y, "whisker");
      }
      if (point.y_interval) {
        state += line(at_x, y.place(point.y_interval->low, plot.bottom, plot.top), at_x,
                      y.place(point.y_interval->high, plot.bottom, plot.top), "whisker");
      }
      state += marker(series.style, at_x, at_y);
      if (labels[i][j]) state += svg_text(labels[i][j]->first, labels[i][j]->second, series.name);
      states += element("g", {{"class", fmt::format("at s{}", point.state)}}, state);
    }
    markup += element("g", {{"class", "series " + style_classes(series.style)}},
                      element("path", {{"class", "way"}, {"d", path_through(places)}}) + dots + states);
  }
  return picture(frontier.caption, width, height, 1.5, "chart frontier", markup);
}

Markup heat_map(const HeatMap& map) {
  if (map.rows.empty() || map.columns.empty()) return {};
  constexpr double left = 64, top = 8, row_height = 26, least_width = 760, right = 8;
  const auto count = static_cast<double>(map.columns.size());
  const double cell = std::min(64.0, (least_width - left - right) / count);
  const double plot_width = cell * count, bottom = top + row_height * static_cast<double>(map.rows.size());
  double most = 0;
  for (const auto& row : map.cells) {
    for (const auto& one : row) most = std::max(most, one ? one->value : 0);
  }
  Markup markup;
  for (std::size_t i = 0; i < map.rows.size(); ++i) {
    const double y = top + row_height * static_cast<double>(i);
    markup += svg_text(left - 8, y + row_height / 2 + 4, fmt::format("{} {}", map.row_label, map.rows[i]), "end");
    for (std::size_t j = 0; j < map.columns.size(); ++j) {
      const auto& one = map.cells[i][j];
      if (!one) continue;
      const double share = most > 0 ? one->value / most : 0;
      const double gap = cell > 6 ? 1 : 0, x = left + cell * static_cast<double>(j);
      markup += svg_box(
          {x, y, cell - gap, row_height - 1},
          {{"class", "heat"}, {"fill-opacity", fmt::format("{:.3f}", least_opacity + (1 - least_opacity) * share)}},
          one->tip);
      const std::string number = fmt::format("{:.0f}", one->value);
      if (cell < 8 * static_cast<double>(number.size()) + 6) continue;
      markup += element("text",
                        {{"class", share > 0.5 ? "in strong" : "in"},
                         {"x", coordinate(x + (cell - gap) / 2)},
                         {"y", coordinate(y + row_height / 2 + 4)}},
                        number);
    }
  }
  const std::size_t every = labeled_every(map.columns.size(), plot_width, 40);
  for (std::size_t j = 0; j < map.columns.size(); j += every) {
    markup += svg_text(left + cell * (static_cast<double>(j) + 0.5), bottom + 16, map.columns[j], "middle");
  }
  markup += svg_text(left - 8, bottom + 16, map.column_label, "end");
  markup += heat_scale(left + 8, bottom + 30, most);
  return picture(map.caption, std::max(left + plot_width + right, 230.0), bottom + 48, 1.25, "chart map", markup);
}

Markup swatch(std::size_t style) {
  return element(
      "svg",
      {{"class", "swatch series " + style_classes(style)}, {"viewBox", "0 0 34 12"}, {"aria-hidden", "true"}},
      element("path", {{"class", "line"}, {"d", "M1 6L33 6"}}) + marker(style, 17, 6));
}

Markup marker_definitions() {
  Markup definitions;
  for (std::size_t i = 0; i < markers.size(); ++i)
    definitions += element("path", {{"id", fmt::format("k{}", i)}, {"d", markers[i]}});
  return element("svg", {{"class", "hidden"}, {"width", "0"}, {"height", "0"}, {"aria-hidden", "true"}},
                 element("defs", {}, definitions));
}

}  // namespace anchorage::launch
