// Charts as SVG, drawn here and not in the browser: lines with bands, a frontier, a heat map.
//
// Colors, dashes and markers are classes of report.css ("c3", "d1"; the markers are in marker_definitions()), so
// that one picture serves light and dark; whatever is told apart by color is told apart by dashes and markers too.
// What can be left out of view has a class of its own: "m<style>" a series, "s<state>" what belongs to a state.
// Every picture has the role img, a <title> and a <desc>.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "launch/commands/report/html.hpp"
#include "launch/commands/report/measures.hpp"

namespace anchorage::launch {

// What a picture is to those who cannot see it. `id` is unique on the page.
struct Caption {
  std::string id;
  std::string title;
  std::string description;
};

enum class Spacing { linear, logarithmic };

// A range of values with its ticks, ascending; of equal distance where it is linear, powers of ten (times 2 and 5
// where these would be few) where it is logarithmic.
struct Axis {
  double low = 0;
  double high = 1;
  std::vector<double> ticks;
  Spacing spacing = Spacing::linear;

  // Where the value lies between `from`, the place of `low`, and `to`, that of `high`.
  double place(double value, double from, double to) const;
};

// The axis on which all values lie, about five ticks long and ending with ticks. Logarithmic spacing is a wish:
// values that are not all above 0, or less than a factor of 30 apart, get a linear axis.
Axis axis_over(double low, double high, Spacing spacing = Spacing::linear);
// The part of the axis within the limits, which end it in a tick.
Axis axis_within(const Axis& axis, const Interval& limits);
// One that begins and ends with the values themselves.
Axis exact_axis_over(double low, double high);

// "0.4", "1,000", "0.05": no more digits than tell the ticks apart.
std::string tick_text(const Axis& axis, double tick);

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::optional<Interval> interval{};  // of y
  std::string tip{};
};

struct ChartSeries {
  std::string name;
  std::size_t style = 0;             // which color, dashes and marker
  std::vector<ChartPoint> points{};  // ascending in x
};

enum class ChartSize { small, large };  // 360 or 560 units wide; a page shows a unit as about a pixel

struct LineChart {
  Caption caption;
  std::string x_label;
  std::vector<ChartSeries> series{};
  Spacing y_spacing = Spacing::linear;
  std::optional<Interval> y_limits{};  // beyond which no value can be: the axis ends there
  ChartSize size = ChartSize::small;
};

// Lines with a marker on each point. x counts something: its ticks are whole numbers. Intervals are bands, and
// whiskers on a point without neighbors that have one.
Markup line_chart(const LineChart& chart);

struct FrontierPoint {
  double x = 0;
  double y = 0;
  std::optional<Interval> x_interval{}, y_interval{};
  std::size_t state = 0;
  std::string tip{};
};

struct FrontierSeries {
  std::string name;
  std::size_t style = 0;
  std::vector<FrontierPoint> points{};  // in the order of states
};

struct Frontier {
  Caption caption;
  std::string x_label, y_label;
  std::vector<FrontierSeries> series{};
};

// A method's states as a path from dot to dot; at each state a marker with whiskers and the method's name, of the
// class "s<state>".
Markup frontier_chart(const Frontier& frontier);

struct HeatCell {
  double value = 0;
  std::string tip{};
};

struct HeatMap {
  Caption caption;
  std::string row_label, column_label;  // "layer", "batch"
  std::vector<std::string> rows{}, columns{};
  std::vector<std::vector<std::optional<HeatCell>>> cells{};  // [rows][columns]
};

// The more, the stronger: the cell's opacity goes from `least_opacity` at 0 to 1 at the largest value. Wide cells
// have their number in them too.
inline constexpr double least_opacity = 0.06;
Markup heat_map(const HeatMap& map);

// A short line with a series' color, dashes and marker, for legends.
Markup swatch(std::size_t style);

// The markers that all charts of a page use: a picture of no size.
Markup marker_definitions();

}  // namespace anchorage::launch
