#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "launch/commands/report/sections.hpp"

namespace anchorage::launch {
namespace {

Markup cell(const std::optional<Figure>& figure, Measure measure) {
  if (!figure) return element("td", {}, "\u2013");
  Markup content = Markup::text(text_of(measure, figure->value));
  if (figure->interval) {
    content += element("small", {},
                       fmt::format("{}\u2013{}", text_of(measure, figure->interval->low),
                                   text_of(measure, figure->interval->high)));
  }
  if (traits_of(measure).unit != Unit::share) return element("td", {}, content);
  return element("td", {{"class", "bar"}, {"style", fmt::format("--v:{:.3f}", figure->value)}}, content);
}

Markup row_heading(std::string_view name, std::string_view meaning) {
  return element("th", {{"scope", "row"}}, Markup::text(name) + element("small", {}, meaning));
}

// Returns one of each task's figures, in their order.
std::vector<TaskFigure> task_rows(std::span<const Evaluation> evaluations) {
  std::vector<TaskFigure> rows;
  for (const Evaluation& evaluation : evaluations) {
    for (const TaskFigure& figure : evaluation.tasks) {
      const auto is_same = [&](const TaskFigure& row) { return row.is_same_as(figure); };
      if (std::ranges::none_of(rows, is_same)) rows.push_back(figure);
    }
  }
  return rows;
}

std::optional<Figure> figure_of(const Evaluation& evaluation, const TaskFigure& row) {
  const auto is_same = [&](const TaskFigure& figure) { return figure.is_same_as(row); };
  const auto found = std::ranges::find_if(evaluation.tasks, is_same);
  return found == evaluation.tasks.end() ? std::nullopt : std::optional(found->figure);
}

std::optional<Figure> figure_of(const Evaluation& evaluation, Measure measure) {
  const auto found = evaluation.figures.find(measure);
  return found == evaluation.figures.end() ? std::nullopt : std::optional(found->second);
}

Markup rows_of(std::span<const Evaluation> evaluations) {
  Markup rows;
  for (const MeasureTraits& traits : all_measures()) {
    if (traits.sections.starts_with("tasks/")) continue;  // among the tasks
    Markup cells = row_heading(traits.name, traits.meaning);
    bool any = false;
    for (const Evaluation& evaluation : evaluations) {
      const auto figure = figure_of(evaluation, traits.measure);
      any = any || figure;
      cells += cell(figure, traits.measure);
    }
    if (any) rows += element("tr", {}, cells);
  }
  for (const TaskFigure& row : task_rows(evaluations)) {
    Markup cells = row_heading(fmt::format("{}, {}", row.task, row.name), row.meaning);
    for (const Evaluation& evaluation : evaluations) cells += cell(figure_of(evaluation, row), Measure::kept);
    rows += element("tr", {}, cells);
  }
  return rows;
}

Markup evaluation_summary(std::span<const Evaluation> evaluations) {
  std::vector<std::string> parts;
  for (const Evaluation& evaluation : evaluations) {
    std::string part = evaluation.label;
    for (const Measure measure : {Measure::exact, Measure::generated_exact, Measure::kept, Measure::loss}) {
      if (const auto figure = figure_of(evaluation, measure)) {
        std::string name(traits_of(measure).name);
        name.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(name.front())));
        part += fmt::format(", {} {}", name, text_of(measure, *figure));
      }
    }
    parts.push_back(part);
  }
  return element("b", {}, "Evaluations") + Markup::text(fmt::format(": {}.", fmt::join(parts, "; ")));
}

}  // namespace

Section evaluation_section(std::span<const Evaluation> evaluations, const std::string& id) {
  std::vector<Column> names{{"Figure", Align::left}};
  for (const Evaluation& evaluation : evaluations) names.push_back({evaluation.label});
  return {.id = id,
          .title = "Evaluations",
          .content = table_box("Table of evaluations", "Small figures are the intervals that the reports give.",
                               heading_row(names), rows_of(evaluations)),
          .summary = evaluation_summary(evaluations)};
}

Comparison states_of(std::span<const Evaluation> evaluations) {
  Comparison comparison{.label = "Evaluations over the number of edits", .source = "Reports of eval"};
  bool is_curve = false;
  for (const Evaluation& evaluation : evaluations) {
    if (evaluation.figures.empty()) continue;
    const auto has_name = [&](const MeasuredState& state) { return state.method == evaluation.name; };
    const auto is_same = [&](const MeasuredState& state) {
      return has_name(state) && state.edits == evaluation.edits;
    };
    if (std::ranges::any_of(comparison.states, is_same)) continue;
    is_curve = is_curve || std::ranges::any_of(comparison.states, has_name);
    comparison.states.push_back(
        {.method = evaluation.name, .edits = evaluation.edits, .figures = evaluation.figures});
  }
  if (!is_curve) comparison.states.clear();
  return comparison;
}

}  // namespace anchorage::launch
