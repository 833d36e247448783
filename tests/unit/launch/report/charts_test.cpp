// Charts are drawn where their axes say: places are computed again from the ticks that a reader sees.
#include "launch/commands/report/charts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <regex>

namespace anchorage::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double pixel = 0.11;  // coordinates are rounded to tenths

struct Tick {
  double value;
  double place;
};

// The ticks of the axis `name`, "x" or "y", with their places along it.
std::vector<Tick> ticks(const std::string& svg, const std::string& name) {
  std::vector<Tick> found;
  const std::regex text("<text class=\"" + name + R"re(" x="([-\d.]+)" y="([-\d.]+)">([-\d.,e]+)</text>)re");
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), text); at != std::sregex_iterator(); ++at) {
    std::string value = (*at)[3];
    std::erase(value, ',');
    // The text of a tick of y stands 4 units below its line.
    found.push_back({std::stod(value), name == "x" ? std::stod((*at)[1]) : std::stod((*at)[2]) - 4});
  }
  return found;
}

// Where a value belongs by the first and the last tick; `scale` is applied to values first.
double place(const std::vector<Tick>& axis, double value, double (*scale)(double)) {
  const Tick &first = axis.front(), &last = axis.back();
  const double share = (scale(value) - scale(first.value)) / (scale(last.value) - scale(first.value));
  return first.place + share * (last.place - first.place);
}

double identity(double value) {
  return value;
}
double logarithm(double value) {
  return std::log10(value);
}

struct Place {
  double x, y;
};

std::vector<Place> markers_in(const std::string& svg) {
  std::vector<Place> found;
  const std::regex use(R"re(<use href="#k\d" x="([-\d.]+)" y="([-\d.]+)")re");
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), use); at != std::sregex_iterator(); ++at)
    found.push_back({std::stod((*at)[1]), std::stod((*at)[2])});
  return found;
}

std::vector<Place> corners(const std::string& svg, const std::string& path) {
  std::smatch all;
  EXPECT_TRUE(std::regex_search(svg, all, std::regex("class=\"" + path + R"re(" d="([^"]*)")re")));
  std::vector<Place> found;
  const std::string d = all[1];
  const std::regex corner(R"re([ML]([-\d.]+) ([-\d.]+))re");
  for (auto at = std::sregex_iterator(d.begin(), d.end(), corner); at != std::sregex_iterator(); ++at)
    found.push_back({std::stod((*at)[1]), std::stod((*at)[2])});
  return found;
}

LineChart chart_of(std::vector<ChartPoint> points) {
  LineChart chart{.caption = {.id = "c", .title = "Kept", .description = "By method."}, .x_label = "edits"};
  chart.series.push_back({.name = "b-eac", .style = 9, .points = std::move(points)});
  return chart;
}

TEST(LineChart, APointIsWhereTheTicksOfBothAxesPutIt) {
  const std::vector<ChartPoint> points{{.x = 100, .y = 0.875}, {.x = 430, .y = 0.61}, {.x = 1000, .y = 0.07}};
  const std::string svg = line_chart(chart_of(points)).str();
  const auto x = ticks(svg, "x"), y = ticks(svg, "y");
  const auto found = markers_in(svg), path = corners(svg, "line");
  ASSERT_GE(x.size(), 3U);
  ASSERT_GE(y.size(), 3U);
  ASSERT_EQ(found.size(), points.size());
  ASSERT_EQ(path.size(), points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    EXPECT_NEAR(found[i].x, place(x, points[i].x, identity), pixel);
    EXPECT_NEAR(found[i].y, place(y, points[i].y, identity), pixel);
    EXPECT_EQ(path[i].x, found[i].x);
    EXPECT_EQ(path[i].y, found[i].y);
  }
  EXPECT_GT(found[2].y, found[0].y) << "less is lower";
}

TEST(LineChart, OnALogarithmicAxisEqualFactorsAreEqualDistances) {
  auto chart = chart_of({{.x = 1, .y = 0.007}, {.x = 2, .y = 0.3}, {.x = 3, .y = 6.2661}});
  chart.y_spacing = Spacing::logarithmic;
  const std::string svg = line_chart(chart).str();
  const auto y = ticks(svg, "y");
  const auto found = markers_in(svg);
  ASSERT_EQ(found.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(found[i].y, place(y, chart.series[0].points[i].y, logarithm), pixel);
}

TEST(LineChart, ABandGoesAlongTheUpperEndsAndBackAlongTheLowerOnes) {
  const std::vector<ChartPoint> points{{.x = 1, .y = 0.5, .interval = Interval{0.4, 0.6}},
                                       {.x = 2, .y = 0.7, .interval = Interval{0.65, 0.8}}};
  const std::string svg = line_chart(chart_of(points)).str();
  const auto y = ticks(svg, "y");
  const auto band = corners(svg, "band");
  ASSERT_EQ(band.size(), 4U);
  const std::vector<double> expected{0.6, 0.8, 0.65, 0.4};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(band[i].y, place(y, expected[i], identity), pixel);
  EXPECT_EQ(band[0].x, band[3].x);
  EXPECT_EQ(band[1].x, band[2].x);
}

TEST(LineChart, AnIntervalWithoutNeighborsIsAWhiskerAndWithoutIntervalsThereIsNoBand) {
  const std::string lone =
      line_chart(chart_of({{.x = 1, .y = 0.5, .interval = Interval{0.4, 0.6}}, {.x = 2, .y = 0.7}})).str();
  EXPECT_THAT(lone, Not(HasSubstr("band")));
  EXPECT_EQ(corners(lone, "whisker").size(), 2U);
  EXPECT_THAT(line_chart(chart_of({{.x = 1, .y = 0.5}, {.x = 2, .y = 0.7}})).str(), Not(HasSubstr("whisker")));
}

TEST(LineChart, HasARoleATitleAndADescriptionAndSaysNothingUnescaped) {
  auto chart = chart_of({{.x = 1, .y = 1, .tip = "<script>"}});
  chart.caption.title = "</svg>";
  const std::string svg = line_chart(chart).str();
  EXPECT_THAT(svg, HasSubstr("role=\"img\" aria-labelledby=\"c-title c-desc\""));
  EXPECT_THAT(svg, HasSubstr("<title id=\"c-title\">&lt;/svg&gt;</title><desc id=\"c-desc\">By method.</desc>"));
  EXPECT_THAT(svg, HasSubstr("<title>&lt;script&gt;</title>"));
  EXPECT_TRUE(line_chart(chart_of({})).empty()) << "nothing measured, nothing drawn";
}

TEST(Axis, HoldsAllValuesBetweenItsFirstAndItsLastTickWhichAreEquallyFarApart) {
  for (const double low : {-3.0, 0.0, 0.004, 0.44, 17.0, 1e6}) {
    for (const double span : {1e-3, 0.07, 0.5, 1.0, 6.3, 1234.0}) {
      const Axis axis = axis_over(low, low + span);
      EXPECT_LE(axis.low, low + 1e-9 * span);
      EXPECT_GE(axis.high, low + span - 1e-9 * span);
      ASSERT_GE(axis.ticks.size(), 3U);
      ASSERT_LE(axis.ticks.size(), 9U);
      EXPECT_EQ(axis.ticks.front(), axis.low);
      EXPECT_EQ(axis.ticks.back(), axis.high);
      const double step = axis.ticks[1] - axis.ticks[0];
      for (std::size_t i = 1; i < axis.ticks.size(); ++i)
        EXPECT_NEAR(axis.ticks[i] - axis.ticks[i - 1], step, 1e-6 * step);
    }
  }
}

TEST(Axis, OfSharesEndsAtZeroAndAtOne) {
  const Axis axis = axis_within(axis_over(0, 0), {0, 1});
  EXPECT_EQ(axis.low, 0);
  EXPECT_GT(axis.high, 0);
  EXPECT_LE(axis.high, 1);
  EXPECT_EQ(axis_within(axis_over(0.2, 1.0), {0, 1}).high, 1);
}

TEST(Axis, OfValuesThatAreNotAllAboveZeroIsLinearWhateverIsWished) {
  EXPECT_EQ(axis_over(-1, 100, Spacing::logarithmic).spacing, Spacing::linear);
  EXPECT_EQ(axis_over(1, 20, Spacing::logarithmic).spacing, Spacing::linear);
  EXPECT_EQ(axis_over(0.01, 20, Spacing::logarithmic).spacing, Spacing::logarithmic);
}

TEST(Axis, TextsOfTicksTellThemApart) {
  const Axis counts{.low = 0, .high = 2000, .ticks = {0, 1000, 2000}};
  EXPECT_EQ(tick_text(counts, 1000), "1,000");
  const Axis shares{.low = 0.25, .high = 0.75, .ticks = {0.25, 0.5, 0.75}};
  EXPECT_EQ(tick_text(shares, 0.5), "0.50");
  const Axis negative{.low = -2e6, .high = 0, .ticks = {-2e6, -1e6, 0}};
  EXPECT_EQ(tick_text(negative, -1e6), "-1,000,000");
}

TEST(Frontier, EachStateHasItsMarkerWhereTheTicksPutItAndItsMethodsName) {
  Frontier chart{.caption = {.id = "f", .title = "t", .description = "d"}, .x_label = "exact", .y_label = "kept"};
  chart.series.push_back({.name = "memit",
                          .style = 0,
                          .points = {{.x = 0.9, .y = 0.8, .state = 0}, {.x = 0.3, .y = 0.2, .state = 1}}});
  chart.series.push_back(
      {.name = "eac", .style = 1, .points = {{.x = 0.7, .y = 0.6, .y_interval = Interval{0.5, 0.7}, .state = 1}}});
  const std::string svg = frontier_chart(chart).str();
  const auto x = ticks(svg, "x"), y = ticks(svg, "y");
  const auto found = markers_in(svg);
  ASSERT_EQ(found.size(), 3U);
  const std::vector<Place> expected{{0.9, 0.8}, {0.3, 0.2}, {0.7, 0.6}};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(found[i].x, place(x, expected[i].x, identity), pixel);
    EXPECT_NEAR(found[i].y, place(y, expected[i].y, identity), pixel);
  }
  EXPECT_THAT(svg, HasSubstr("<g class=\"at s0\">"));
  EXPECT_THAT(svg, HasSubstr("<g class=\"at s1\">"));
  EXPECT_THAT(svg, HasSubstr(">memit</text>"));
  const auto whisker = corners(svg, "whisker");
  ASSERT_EQ(whisker.size(), 2U);
  EXPECT_NEAR(whisker[0].y, place(y, 0.5, identity), pixel);
  EXPECT_NEAR(whisker[1].y, place(y, 0.7, identity), pixel);
}

TEST(Frontier, NoTwoNamesOfAStateOverlap) {
  Frontier chart{.caption = {.id = "f", .title = "t", .description = "d"}, .x_label = "exact", .y_label = "kept"};
  for (int i = 0; i < 8; ++i) {
    chart.series.push_back({.name = "method-" + std::to_string(i),
                            .style = static_cast<std::size_t>(i),
                            .points = {{.x = 0.5 + 0.01 * i, .y = 0.5 + 0.005 * i, .state = 0}}});
  }
  const std::string svg = frontier_chart(chart).str();
  std::vector<Place> names;
  const std::regex text(R"re(<text x="([-\d.]+)" y="([-\d.]+)">method-\d</text>)re");
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), text); at != std::sregex_iterator(); ++at)
    names.push_back({std::stod((*at)[1]), std::stod((*at)[2])});
  ASSERT_GE(names.size(), 6U);
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      EXPECT_TRUE(std::abs(names[i].x - names[j].x) > 8 * 6 || std::abs(names[i].y - names[j].y) > 11)
          << i << ", " << j;
  }
}

TEST(HeatMap, RowsAreLayersColumnsAreBatchesAndTheStrengthIsTheNumber) {
  HeatMap map{.caption = {.id = "h", .title = "t", .description = "d"},
              .row_label = "layer",
              .column_label = "batch",
              .rows = {"4", "8"},
              .columns = {"1", "2", "3"}};
  map.cells = {{HeatCell{0, "a"}, HeatCell{10, "b"}, HeatCell{40, "c"}},
               {HeatCell{20, "d"}, std::nullopt, HeatCell{5, "e"}}};
  const std::string svg = heat_map(map).str();
  const std::regex cell(
      R"re(<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="[\d.]+" class="heat" fill-opacity="([\d.]+)"><title>(\w)</title>)re");
  std::map<std::string, std::pair<Place, double>> cells;
  for (auto at = std::sregex_iterator(svg.begin(), svg.end(), cell); at != std::sregex_iterator(); ++at)
    cells[(*at)[5]] = {{std::stod((*at)[1]), std::stod((*at)[2])}, std::stod((*at)[4])};
  ASSERT_EQ(cells.size(), 5U) << "what was not measured has no cell";
  const std::map<std::string, double> values{{"a", 0}, {"b", 10}, {"c", 40}, {"d", 20}, {"e", 5}};
  for (const auto& [name, value] : values)
    EXPECT_NEAR(cells[name].second, least_opacity + (1 - least_opacity) * value / 40, 0.001) << name;
  EXPECT_EQ(cells["a"].first.y, cells["c"].first.y);
  EXPECT_EQ(cells["a"].first.x, cells["d"].first.x);
  EXPECT_EQ(cells["c"].first.x, cells["e"].first.x);
  EXPECT_NEAR(cells["c"].first.x - cells["b"].first.x, cells["b"].first.x - cells["a"].first.x, pixel);
  EXPECT_LT(cells["a"].first.y, cells["d"].first.y);
}

TEST(Styles, NoTwoOfTheFirst32LookAlike) {
  std::set<std::string> seen;
  for (std::size_t style = 0; style < 32; ++style) {
    const std::string own = swatch(style).str();
    std::smatch all;
    ASSERT_TRUE(std::regex_search(own, all, std::regex(R"re((c\d) (d\d)".*(#k\d))re"))) << own;
    EXPECT_TRUE(seen.insert(all[1].str() + all[2].str() + all[3].str()).second) << style;
  }
  for (int i = 0; i < 8; ++i)
    EXPECT_THAT(marker_definitions().str(), HasSubstr("id=\"k" + std::to_string(i) + "\""));
}

}  // namespace
}  // namespace anchorage::launch
