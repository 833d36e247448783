#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "launch/commands/report/charts.hpp"
#include "launch/commands/report/sections.hpp"

namespace anchorage::launch {
namespace {

// Drawn over the number of edits, where the states have them; of the loss its change if that is known.
constexpr std::array curves{Measure::kept,         Measure::exact,           Measure::paraphrase,
                            Measure::neighborhood, Measure::generated_exact, Measure::loss_change,
                            Measure::loss,         Measure::lambada,         Measure::sentiment};

// What the table shows.
constexpr std::array columns{Measure::kept,
                             Measure::exact,
                             Measure::efficacy,
                             Measure::paraphrase,
                             Measure::paraphrase_exact,
                             Measure::neighborhood,
                             Measure::neighborhood_exact,
                             Measure::generated_exact,
                             Measure::loss_change,
                             Measure::loss,
                             Measure::lambada,
                             Measure::sentiment};

const Figure* figure_of(const MeasuredState& state, Measure measure) {
  const auto found = state.figures.find(measure);
  return found == state.figures.end() ? nullptr : &found->second;
}

// The states in order, and what there is of them.
class Study {
 public:
  Study(const Comparison& comparison, std::string id, MethodStyles& styles)
      : id_(std::move(id)), states_(comparison.states), all_styles_(styles) {
    std::ranges::stable_sort(states_, {}, &MeasuredState::edits);
    for (const MeasuredState& state : comparison.states) {
      if (std::ranges::find(methods_, state.method) == methods_.end()) methods_.push_back(state.method);
      styles.of(state.method);
    }
    for (const MeasuredState& state : states_) {
      if (numbers_.empty() || numbers_.back() != state.edits) numbers_.push_back(state.edits);
      for (const auto& [layer, drift] : state.drift) layers_.insert(layer);
    }
    // The state that is shown first: the last one that half of the methods have reached.
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      if (2 * states_after(numbers_[i]).size() >= methods_.size()) shown_ = i;
    }
  }

  const std::string& id() const { return id_; }
  const std::vector<MeasuredState>& states() const { return states_; }
  const std::vector<std::string>& methods() const { return methods_; }
  const std::vector<std::int64_t>& numbers() const { return numbers_; }  // of edits, ascending
  const std::set<std::int64_t>& layers() const { return layers_; }
  std::size_t shown() const { return shown_; }
  std::size_t style(const std::string& method) const { return all_styles_.of(method); }
  std::size_t number_of(const MeasuredState& state) const {
    return static_cast<std::size_t>(std::ranges::find(numbers_, state.edits) - numbers_.begin());
  }
  bool has(Measure measure) const {
    return std::ranges::any_of(states_, [&](const MeasuredState& state) { return figure_of(state, measure); });
  }
  bool has_intervals() const {
    for (const MeasuredState& state : states_) {
      for (const auto& [measure, figure] : state.figures) {
        if (figure.interval) return true;
      }
    }
    return false;
  }
  // The loss itself is left out where its change is known.
  bool is_shown(Measure measure) const {
    return has(measure) && !(measure == Measure::loss && has(Measure::loss_change));
  }

  std::vector<const MeasuredState*> states_of(const std::string& method) const {
    std::vector<const MeasuredState*> own;
    for (const MeasuredState& state : states_) {
      if (state.method == method) own.push_back(&state);
    }
    return own;
  }
  std::vector<const MeasuredState*> states_after(std::int64_t edits) const {
    std::vector<const MeasuredState*> after;
    for (const MeasuredState& state : states_) {
      if (state.edits == edits) after.push_back(&state);
    }
    return after;
  }

  // The best figure among the methods after so many edits.
  std::optional<double> best(Measure measure, std::int64_t edits) const {
    const bool higher = traits_of(measure).better == Better::higher;
    std::optional<double> best;
    for (const MeasuredState* state : states_after(edits)) {
      const Figure* figure = figure_of(*state, measure);
      if (figure != nullptr && (!best || (higher ? figure->value > *best : figure->value < *best)))
        best = figure->value;
    }
    return best;
  }

 private:
  std::string id_;
  std::vector<MeasuredState> states_;
  std::vector<std::string> methods_;
  std::vector<std::int64_t> numbers_;
  std::set<std::int64_t> layers_;
  std::size_t shown_ = 0;
  MethodStyles& all_styles_;
};

std::string tip(const MeasuredState& state, Measure measure, const Figure& figure) {
  return fmt::format("{}, {}: {}", state.method, with_commas(state.edits), text_of(measure, figure));
}

// "b-eac 0.441, memit_seq 0.335 after 1,000 edits": what a picture of a measure says in words.
std::string in_words(const Study& study, Measure measure) {
  std::vector<std::string> parts;
  const std::int64_t edits = study.numbers()[study.shown()];
  for (const MeasuredState* state : study.states_after(edits)) {
    if (const Figure* figure = figure_of(*state, measure))
      parts.push_back(fmt::format("{} {}", state->method, text_of(measure, figure->value)));
  }
  return fmt::format("After {}: {}. All figures are in the table below.", counted(edits, "edit"),
                     fmt::join(parts, ", "));
}

Markup curve(const Study& study, Measure measure) {
  const MeasureTraits& traits = traits_of(measure);
  LineChart chart{.caption = {.id = fmt::format("{}-{}", study.id(), traits.column),
                              .title = fmt::format("{} over the number of edits, by method", traits.name),
                              .description = in_words(study, measure)},
                  .x_label = "edits",
                  .y_spacing = traits.unit == Unit::nats ? Spacing::logarithmic : Spacing::linear,
                  .y_limits = traits.unit == Unit::share ? std::optional(Interval{0, 1}) : std::nullopt};
  for (const std::string& method : study.methods()) {
    ChartSeries series{.name = method, .style = study.style(method)};
    for (const MeasuredState* state : study.states_of(method)) {
      if (const Figure* figure = figure_of(*state, measure)) {
        series.points.push_back({.x = static_cast<double>(state->edits),
                                 .y = figure->value,
                                 .interval = figure->interval,
                                 .tip = tip(*state, measure, *figure)});
      }
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  return figure(traits.name, traits.meaning, line_chart(chart));
}

Markup frontier(const Study& study) {
  Frontier chart{.caption = {.id = study.id() + "-frontier",
                             .title = "Facts kept against edits matched exactly, by method",
                             .description = in_words(study, Measure::kept) + " " + in_words(study, Measure::exact)},
                 .x_label = "exact match of the edits",
                 .y_label = "facts kept"};
  for (const std::string& method : study.methods()) {
    FrontierSeries series{.name = method, .style = study.style(method)};
    for (const MeasuredState* state : study.states_of(method)) {
      const Figure *exact = figure_of(*state, Measure::exact), *kept = figure_of(*state, Measure::kept);
      if (exact == nullptr || kept == nullptr) continue;
      series.points.push_back(
          {.x = exact->value,
           .y = kept->value,
           .x_interval = exact->interval,
           .y_interval = kept->interval,
           .state = study.number_of(*state),
           .tip = fmt::format("{}, {}: kept {}, exact match {}", method, counted(state->edits, "edit"),
                              text_of(Measure::kept, kept->value), text_of(Measure::exact, exact->value))});
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  return figure(
      "What is written against what is kept",
      "Up and to the right is better. A path follows a method from its first state to its last; the marker is "
      "the state chosen above.",
      frontier_chart(chart));
}

// Of one state: what the others have is in the table.
Markup drift(const Study& study) {
  const std::int64_t edits = study.numbers()[study.shown()];
  LineChart chart{.caption = {.id = study.id() + "-drift",
                              .title = fmt::format("Drift by layer after {}, by method", counted(edits, "edit")),
                              .description = "All figures are in the table below."},
                  .x_label = "layer",
                  .size = ChartSize::large};
  for (const MeasuredState* state : study.states_after(edits)) {
    ChartSeries series{.name = state->method, .style = study.style(state->method)};
    for (const auto& [layer, value] : state->drift) {
      series.points.push_back({.x = static_cast<double>(layer),
                               .y = value,
                               .tip = fmt::format("{}, layer {}: {:.3f}", state->method, layer, value)});
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  return figure("Drift by layer",
                fmt::format("How far the weights are from the base after {}, as a share of their norm.",
                            counted(edits, "edit")),
                line_chart(chart));
}

Markup method_picker(const Study& study) {
  Markup boxes = element("legend", {}, "Methods");
  for (const std::string& method : study.methods()) {
    const std::size_t style = study.style(method);
    boxes +=
        element("label", {},
                element("input", {{"type", "checkbox"}, {"class", fmt::format("p{}", style)}, {"checked", ""}}) +
                    swatch(style) + element("span", {}, method));
  }
  return element("fieldset", {{"class", "methods"}}, boxes);
}

Markup state_choice(const Study& study, const std::string& state, std::string_view text, bool is_shown) {
  const std::string name = study.id() + "-state", of_class = "n" + state;
  const Markup button =
      is_shown ? element("input", {{"type", "radio"}, {"name", name}, {"class", of_class}, {"checked", ""}})
               : element("input", {{"type", "radio"}, {"name", name}, {"class", of_class}});
  return element("label", {}, button + element("span", {}, text));
}

Markup state_picker(const Study& study) {
  if (study.numbers().size() < 2) return {};
  Markup choices = element("legend", {}, "State after so many edits");
  for (std::size_t i = 0; i < study.numbers().size(); ++i) {
    choices += state_choice(study, std::to_string(i), with_commas(study.numbers()[i]), i == study.shown());
  }
  choices += state_choice(study, "all", "all", false);
  return element("fieldset", {{"class", "states"}}, choices);
}

Markup figure_cell(const Study& study, const MeasuredState& state, Measure measure) {
  const Figure* figure = figure_of(state, measure);
  if (figure == nullptr) return element("td", {}, "\u2013");
  const std::string text = text_of(measure, figure->value);
  const bool is_best = study.methods().size() > 1 && study.best(measure, state.edits) == figure->value;
  Markup content = is_best ? element("b", {}, text) : Markup::text(text);
  if (figure->interval) {
    content += element("small", {},
                       fmt::format("{}\u2013{}", text_of(measure, figure->interval->low),
                                   text_of(measure, figure->interval->high)));
  }
  if (measure != Measure::kept && measure != Measure::exact) return element("td", {}, content);
  return element("td", {{"class", "bar"}, {"style", fmt::format("--v:{:.3f}", figure->value)}}, content);
}

Markup states_table(const Study& study) {
  std::vector<Column> names{{"Method", Align::left}, {"Edits"}};
  for (const Measure measure : columns) {
    if (study.is_shown(measure)) names.push_back({std::string(traits_of(measure).name)});
  }
  const auto& layers = study.layers();
  if (!layers.empty()) names.push_back({fmt::format("Drift, layers {}", fmt::join(layers, " "))});
  Markup rows;
  for (const MeasuredState& state : study.states()) {
    Markup cells = element("th", {{"scope", "row"}}, state.method) + element("td", {}, with_commas(state.edits));
    for (const Measure measure : columns) {
      if (study.is_shown(measure)) cells += figure_cell(study, state, measure);
    }
    if (!layers.empty()) {
      std::vector<std::string> drifts;
      for (const std::int64_t layer : layers) {
        const auto found = state.drift.find(layer);
        drifts.push_back(found == state.drift.end() ? "\u2013" : fmt::format("{:.2f}", found->second));
      }
      cells += element("td", {}, fmt::format("{}", fmt::join(drifts, " ")));
    }
    rows += element("tr", {{"class", fmt::format("at s{} m{}", study.number_of(state), study.style(state.method))}},
                    cells);
  }
  return table_box("Table of all states",
                   study.methods().size() > 1 ? "The best of each column and state is bold." : "All states.",
                   heading_row(names), rows);
}

// "b-eac-without-sweeps (0.594)", all of them where several are the best.
std::string best_methods(const Study& study, Measure measure, std::int64_t edits) {
  const auto best = study.best(measure, edits);
  std::vector<std::string> names;
  for (const MeasuredState* state : study.states_after(edits)) {
    const Figure* figure = figure_of(*state, measure);
    if (figure != nullptr && figure->value == best) names.push_back(state->method);
  }
  return fmt::format("{} ({})", fmt::join(names, ", "), text_of(measure, best.value_or(0)));
}

// Of one method: its figures.
std::vector<std::string> figures_in_words(const MeasuredState& state) {
  std::vector<std::string> parts;
  for (const Measure measure : curves) {
    if (const Figure* figure = figure_of(state, measure))
      parts.push_back(fmt::format("{} {}", traits_of(measure).name, text_of(measure, *figure)));
  }
  return parts;
}

Markup comparison_summary(const Study& study, const Comparison& comparison) {
  const std::int64_t edits = study.numbers()[study.shown()];
  std::vector<std::string> parts;
  const auto add = [&](Measure measure, const char* what) {
    if (study.best(measure, edits))
      parts.push_back(fmt::format("{}: {}", what, best_methods(study, measure, edits)));
  };
  if (study.methods().size() == 1) {
    parts = figures_in_words(*study.states_after(edits).front());
  } else {
    add(Measure::kept, "most facts kept");
    add(Measure::exact, "most edits matched exactly");
    add(Measure::loss_change, "least change of loss");
  }
  return element("b", {}, comparison.label) +
         Markup::text(fmt::format(", after {}{}.", counted(edits, "edit"),
                                  parts.empty() ? "" : fmt::format(": {}", fmt::join(parts, "; "))));
}

std::string about(const Study& study, const Comparison& comparison) {
  std::string text =
      fmt::format("{}, {} after ", comparison.source, counted(std::ssize(study.methods()), "method"));
  text += study.numbers().size() == 1 ? counted(study.numbers().front(), "edit")
                                      : fmt::format("{} to {}", with_commas(study.numbers().front()),
                                                    counted(study.numbers().back(), "edit"));
  return text + (study.has_intervals()
                     ? ". Bands, whiskers and small figures are the intervals that the input gives."
                     : ". The input gives no intervals: small differences may be chance.");
}

}  // namespace

Section comparison_section(const Comparison& comparison, const std::string& id, MethodStyles& styles) {
  const Study study(comparison, id, styles);
  Markup charts;
  for (const Measure measure : curves) {
    if (study.is_shown(measure)) charts += curve(study, measure);
  }
  const Markup states = element("div", {{"class", "pair"}}, frontier(study) + drift(study));
  return {.id = id,
          .title = comparison.label,
          .content = element("div", {{"class", "set"}},
                             element("p", {{"class", "about"}}, about(study, comparison)) + method_picker(study) +
                                 element("div", {{"class", "charts"}}, charts) + state_picker(study) + states +
                                 states_table(study)),
          .summary = comparison_summary(study, comparison)};
}

}  // namespace anchorage::launch
