#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "launch/commands/report/charts.hpp"
#include "launch/commands/report/sections.hpp"

namespace anchorage::launch {
namespace {

// Of longer runs, pictures show the means over as many batches as make this many columns or points.
constexpr std::size_t most_columns = 120;

// Consecutive batches that a picture shows as one.
struct BatchGroup {
  std::span<const RunBatch> batches;
  std::int64_t first() const { return batches.front().batch; }
  std::int64_t last() const { return batches.back().batch; }
  std::string name() const {
    return batches.size() == 1 ? std::to_string(first()) : fmt::format("{}\u2013{}", first(), last());
  }
  bool holds(std::int64_t batch) const { return batch >= first() && batch <= last(); }
};

std::vector<BatchGroup> groups_of(const RunContents& run) {
  const std::size_t count = run.batches.size(), size = (count + most_columns - 1) / most_columns;
  std::vector<BatchGroup> groups;
  for (std::size_t first = 0; first < count; first += size)
    groups.push_back({std::span(run.batches).subspan(first, std::min(size, count - first))});
  return groups;
}

constexpr Interval share_limits{0, 1};

using Value = std::optional<double> RunBatch::*;

std::optional<double> mean(const BatchGroup& group, Value value) {
  double sum = 0, count = 0;
  for (const RunBatch& batch : group.batches) {
    if (!(batch.*value)) continue;
    sum += *(batch.*value);
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

ChartSeries series_of(std::span<const BatchGroup> groups, const std::string& name, std::size_t style, Value value,
                      int decimals) {
  ChartSeries series{.name = name, .style = style};
  for (const BatchGroup& group : groups) {
    const auto one = mean(group, value);
    if (!one) continue;
    series.points.push_back({.x = static_cast<double>(group.last()),
                             .y = *one,
                             .tip = fmt::format("batch {}, {}: {:.{}f}", group.name(), name, *one, decimals)});
  }
  return series;
}

// A name for each line of a picture, with its swatch; nothing for a single one.
Markup legend_of(const LineChart& chart) {
  if (chart.series.size() < 2) return {};
  Markup names;
  for (const ChartSeries& series : chart.series)
    names += element("span", {}, swatch(series.style) + Markup::text(series.name));
  return element("div", {{"class", "legend"}}, names);
}

Markup batch_figure(std::string_view heading, std::string_view meaning, const std::string& id,
                    std::vector<ChartSeries> series, Spacing spacing = Spacing::linear,
                    std::optional<Interval> limits = std::nullopt) {
  std::erase_if(series, [](const ChartSeries& one) { return one.points.empty(); });
  LineChart chart{.caption = {.id = id,
                              .title = fmt::format("{} by batch", heading),
                              .description = "All figures are in the table of batches."},
                  .x_label = "batch",
                  .series = std::move(series),
                  .y_spacing = spacing,
                  .y_limits = limits};
  const Markup picture = line_chart(chart);
  return picture.empty() ? Markup() : figure(heading, meaning, picture + legend_of(chart));
}

std::vector<ChartSeries> drift_series(std::span<const BatchGroup> groups) {
  std::map<std::int64_t, ChartSeries> by_layer;
  for (const BatchGroup& group : groups) {
    std::map<std::int64_t, double> last;
    for (const RunBatch& batch : group.batches) {
      for (const auto& [layer, drift] : batch.drift) last[layer] = drift;
    }
    for (const auto& [layer, drift] : last) {
      by_layer[layer].points.push_back(
          {.x = static_cast<double>(group.last()),
           .y = drift,
           .tip = fmt::format("layer {}, batch {}: {:.4f}", layer, group.name(), drift)});
    }
  }
  std::vector<ChartSeries> series;
  for (auto& [layer, one] : by_layer) {
    one.name = fmt::format("layer {}", layer);
    one.style = series.size();
    series.push_back(std::move(one));
  }
  return series;
}

Markup charts_of(const RunContents& run, std::span<const BatchGroup> groups, const std::string& id) {
  const bool has_loss =
      std::ranges::any_of(run.batches, [](const RunBatch& batch) { return batch.loss_after.has_value(); });
  Markup charts =
      batch_figure("Success", "Edits whose new answer matched exactly after their batch.", id + "-match",
                   {series_of(groups, "matched", 0, &RunBatch::matched, 3)}, Spacing::linear, share_limits);
  charts += batch_figure("Targets", "What the new answers cost before and after their batch, nats per token.",
                         id + "-nll",
                         {series_of(groups, "before", 1, &RunBatch::nll_before, 3),
                          series_of(groups, "after", 0, &RunBatch::nll_after, 3)},
                         Spacing::logarithmic);
  if (has_loss) {
    charts += batch_figure("Held-out loss", "On the guard's text, before and after each batch, nats per token.",
                           id + "-loss",
                           {series_of(groups, "before", 1, &RunBatch::loss_before, 4),
                            series_of(groups, "after", 0, &RunBatch::loss_after, 4)});
  }
  charts += batch_figure("Drift by layer", "How far the weights are from the base, as a share of their norm.",
                         id + "-drift", drift_series(groups));
  return charts + batch_figure("Time", "Seconds from a batch's submission to its commit.", id + "-seconds",
                               {series_of(groups, "seconds", 2, &RunBatch::seconds, 2)});
}

std::optional<HeatCell> cell_of(std::int64_t layer, const BatchGroup& group,
                                const std::vector<AnchorCounts>& counts) {
  double active = 0, kept = 0, entered = 0, left = 0, batches = 0;
  for (const AnchorCounts& one : counts) {
    if (!group.holds(one.batch)) continue;
    active += static_cast<double>(one.kept + one.entered);
    kept += static_cast<double>(one.kept);
    entered += static_cast<double>(one.entered);
    left += static_cast<double>(one.left);
    ++batches;
  }
  if (batches == 0) return std::nullopt;
  return HeatCell{
      .value = active / batches,
      .tip = fmt::format("layer {}, batch {}: {:.0f} anchors, {:.0f} kept, {:.0f} entered, {:.0f} left", layer,
                         group.name(), active / batches, kept / batches, entered / batches, left / batches)};
}

Markup anchors_of(const RunContents& run, std::span<const BatchGroup> groups, const std::string& id) {
  if (run.anchors.empty()) {
    return element("p", {{"class", "about"}}, fmt::format("No batch has anchors (method {}).", run.method));
  }
  HeatMap map{.caption = {.id = id + "-anchors", .title = "Active anchors by layer and batch", .description = {}},
              .row_label = "layer",
              .column_label = "batch"};
  for (const BatchGroup& group : groups) map.columns.push_back(group.name());
  std::vector<std::string> last;
  for (const auto& [layer, counts] : run.anchors) {
    map.rows.push_back(std::to_string(layer));
    auto& row = map.cells.emplace_back();
    for (const BatchGroup& group : groups) row.push_back(cell_of(layer, group, counts));
    last.push_back(fmt::format("layer {} {}", layer, with_commas(counts.back().kept + counts.back().entered)));
  }
  map.caption.description = fmt::format("After the last batch with anchors: {}.", fmt::join(last, ", "));
  return figure("Anchors by layer and batch",
                "How many dimensions of the residual stream are active anchors of a layer; the stronger, the more.",
                element("div",
                        {{"class", "scroll plain"},
                         {"role", "region"},
                         {"tabindex", "0"},
                         {"aria-label", "Anchors by layer and batch"}},
                        heat_map(map)));
}

std::string drift_text(const RunBatch& batch) {
  std::vector<std::string> drifts;
  for (const auto& [layer, drift] : batch.drift) drifts.push_back(fmt::format("{:.3f}", drift));
  return drifts.empty() ? "\u2013" : fmt::format("{}", fmt::join(drifts, " "));
}

Markup batches_table(const RunContents& run) {
  std::set<std::int64_t> layers;
  for (const RunBatch& batch : run.batches) {
    for (const auto& [layer, drift] : batch.drift) layers.insert(layer);
  }
  const std::vector<Column> names{{"Batch", Align::left},
                                  {"Edits"},
                                  {"Set aside"},
                                  {"Removed"},
                                  {"Matched"},
                                  {"Loss before"},
                                  {"Loss after"},
                                  {"Targets before"},
                                  {"Targets after"},
                                  {"Seconds"},
                                  {fmt::format("Drift, layers {}", fmt::join(layers, " "))}};
  Markup rows;
  for (const RunBatch& batch : run.batches) {
    Markup cells = element("th", {{"scope", "row"}}, std::to_string(batch.batch));
    for (const std::int64_t count : {batch.committed, batch.set_aside, batch.removed})
      cells += element("td", {}, with_commas(count));
    cells += batch.matched ? element("td", {{"class", "bar"}, {"style", fmt::format("--v:{:.3f}", *batch.matched)}},
                                     or_dash(batch.matched, 3))
                           : element("td", {}, batch.is_removal ? "removal" : "\u2013");
    for (const auto& value : {batch.loss_before, batch.loss_after}) cells += element("td", {}, or_dash(value, 4));
    for (const auto& value : {batch.nll_before, batch.nll_after}) cells += element("td", {}, or_dash(value, 3));
    cells += element("td", {}, or_dash(batch.seconds, 2));
    cells += element("td", {}, drift_text(batch));
    rows += element("tr", {}, cells);
  }
  return table_box("Table of batches", "Batches that were rolled back are not shown.", heading_row(names), rows);
}

Markup failed_row(const FailedEdit& edit, const Evaluation* texts) {
  Markup cells = element("td", {}, std::to_string(edit.batch)) + element("td", {{"class", "id"}}, edit.id) +
                 element("td", {{"class", "text"}}, edit.prompt) + element("td", {{"class", "text"}}, edit.wanted);
  if (texts != nullptr) {
    const auto says = texts->texts.find(edit.id);
    cells += says == texts->texts.end() ? element("td", {{"class", "text"}}, "\u2013")
                                        : element("td", {{"class", "text says"}}, says->second);
  }
  for (const auto& nll : {edit.nll_before, edit.nll_after}) cells += element("td", {}, or_dash(nll, 3));
  cells += element("td", {{"class", "text"}}, edit.why) + element("td", {{"class", "now"}}, edit.now);
  return element("tr", {}, cells);
}

Markup failed_table(const RunContents& run, const Evaluation* texts, const std::string& id) {
  if (run.failed.empty())
    return element("p", {{"class", "about"}},
                   "Every edit that was scored matched after its batch, and none was set aside.");
  std::vector<Column> names;
  for (const char* name : {"Batch", "Edit", "Prompt", "Wanted"}) names.push_back({name, Align::left});
  if (texts != nullptr) names.push_back({"The model says", Align::left});
  for (const char* name : {"Target before", "Target after"}) names.push_back({name});
  for (const char* name : {"What happened", "Now"}) names.push_back({name, Align::left});
  Markup rows;
  for (const FailedEdit& edit : run.failed) rows += failed_row(edit, texts);
  const std::string caption = fmt::format(
      "{} not matched after its batch, or set aside. Targets are nats per token of the wanted answer, "
      "before and after the batch.{}",
      counted(std::ssize(run.failed), "edit"),
      texts == nullptr
          ? ""
          : fmt::format(" What the model says is from {}, as generated after the prompt.", texts->label));
  return element("div", {{"class", "search"}, {"hidden", ""}},
                 element("label", {{"for", id + "-search"}}, "Search the failed edits") +
                     element("input", {{"type", "search"}, {"id", id + "-search"}, {"autocomplete", "off"}}) +
                     element("output", {{"for", id + "-search"}, {"aria-live", "polite"}}, "")) +
         table_box("Table of failed edits", caption, heading_row(names), rows);
}

Markup run_summary(const RunContents& run) {
  std::string text =
      fmt::format(": {} in {}", counted(run.edits, "edit"), counted(std::ssize(run.batches), "batch"));
  if (run.measured > 0) {
    text += fmt::format("; {} of {} matched exactly after their batch ({:.1f}%)", with_commas(run.matched),
                        with_commas(run.measured),
                        100 * static_cast<double>(run.matched) / static_cast<double>(run.measured));
  }
  if (run.set_aside > 0) text += fmt::format("; {} set aside", with_commas(run.set_aside));
  text += fmt::format("; {} live now.", with_commas(run.live));
  return element("b", {}, run.label) + Markup::text(text);
}

}  // namespace

Section run_section(const RunContents& run, const Evaluation* texts, const std::string& id) {
  const auto groups = groups_of(run);
  Markup content = element("p", {{"class", "about"}},
                           fmt::format("{}: base model {}, method {}.", run.source, run.model, run.method));
  if (!run.batches.empty()) {
    content += element("div", {{"class", "charts"}}, charts_of(run, groups, id));
    content += anchors_of(run, groups, id);
    content += element("h3", {}, "Failed edits") + failed_table(run, texts, id);
    content += element("h3", {}, "Batches") + batches_table(run);
  }
  return {.id = id, .title = run.label, .content = content, .summary = run_summary(run)};
}

}  // namespace anchorage::launch
