// A figure of an evaluation that is a mean over edits.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "worker/evaluation/bootstrap.hpp"

namespace anchorage::worker {

// One value per edit, in their order; none for an edit that the figure does not exist for.
using ValuesOfEdits = std::vector<std::optional<double>>;

struct EditFigure {
  std::optional<double> mean;        // over the edits that have a value
  std::optional<Interval> interval;  // bootstrap over these edits
  std::int64_t edits = 0;            // how many these are
};

inline EditFigure figure_of(const ValuesOfEdits& values) {
  std::vector<double> present;
  double sum = 0;
  for (const auto& value : values) {
    if (!value) continue;
    present.push_back(*value);
    sum += *value;
  }
  EditFigure figure{.mean = {}, .interval = bootstrap_mean(present), .edits = std::ssize(present)};
  if (!present.empty()) figure.mean = sum / static_cast<double>(present.size());
  return figure;
}

}  // namespace anchorage::worker
