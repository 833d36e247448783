// 95 % intervals of figures by the percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap,
// 1993, chapter 13): units, edits say, are drawn with replacement as often as there are some, 2,000 times, and the
// figure of each sample is taken. The interval leaves out the lowest and the highest fortieth of these figures.
//
// Draws are seeded alike every time and use no distribution of the standard library, whose draws differ from one
// implementation to the next: equal values have the same interval, the same bits, everywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <span>

namespace anchorage::worker {

struct Interval {
  double low = 0, high = 0;

  bool operator==(const Interval&) const = default;
};

inline constexpr int resamples = 2000;

// Draws a whole number below `count`, at least 1, all of them equally probable: draws from the generator until one
// is not among the first 2^64 mod count, by which some remainders would come more often.
std::size_t draw_below(std::size_t count, std::mt19937_64& random);

// Returns the figure of the units with these numbers, which may repeat; nothing where they have none.
using FigureOf = std::function<std::optional<double>(std::span<const std::size_t> units)>;

// Returns the interval of a figure of `units` units; nothing for fewer than two, or where fewer than half of the
// samples have a finite figure. Samples without one do not count.
std::optional<Interval> bootstrap(std::size_t units, const FigureOf& figure_of);

// Of the mean of the values, one per unit.
std::optional<Interval> bootstrap_mean(std::span<const double> values);

// Of sum of numerators / sum of denominators, one of each per unit.
std::optional<Interval> bootstrap_ratio(std::span<const double> numerators, std::span<const double> denominators);

}  // namespace anchorage::worker
