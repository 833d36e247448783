// What states of a model are measured by: the columns of a comparison's CSV and the figures of `eval --json`.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace anchorage::launch {

enum class Measure {
  kept,
  exact,
  efficacy,
  paraphrase,
  paraphrase_exact,
  neighborhood,
  neighborhood_exact,
  portability_exact,
  generated_exact,
  generated_contained,
  score,
  loss,
  loss_change,
  lambada,
  sentiment
};

enum class Unit { share, nats };
enum class Better { higher, lower };

struct MeasureTraits {
  Measure measure;
  std::string_view column;  // of a CSV
  std::string_view
      sections;            // of `eval --json`: the objects that lead to the figure, "tasks/known/kept"; empty: none
  std::string_view field;  // its name there; "<field>_interval" may stand beside it
  std::string_view name;   // short, a column's heading
  std::string_view meaning;
  Unit unit;
  Better better;
};

std::span<const MeasureTraits> all_measures();
const MeasureTraits& traits_of(Measure measure);

// A confidence interval, as the input gives it.
struct Interval {
  double low = 0;
  double high = 0;

  bool operator==(const Interval&) const = default;
};

struct Figure {
  double value = 0;
  std::optional<Interval> interval{};

  bool operator==(const Figure&) const = default;
};

using Figures = std::map<Measure, Figure>;  // what was measured

// "0.830" of a share, "+0.2158" of a change, "3.4272" of nats.
std::string text_of(Measure measure, double value);
// With the interval, where there is one: "0.830 (0.780 to 0.870)".
std::string text_of(Measure measure, const Figure& figure);

}  // namespace anchorage::launch
