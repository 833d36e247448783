// Reads a comparison's CSV, as tests/bench/science/table.py writes it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "io/error.hpp"
#include "launch/commands/report/report_inputs.hpp"

namespace anchorage::launch {
namespace {

constexpr std::string_view drift_prefix = "drift_";

struct CsvLine {
  std::vector<std::string> cells;
  std::int64_t number = 0;  // of its first line in the file, from 1
};

// Takes a CSV apart (RFC 4180): cells may be in quotes, within which "" is a quote. Blank lines do not count.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  std::optional<CsvLine> next() {
    while (!text_.empty()) {
      CsvLine line{.cells = {}, .number = line_};
      for (bool more = true; more;) more = take_cell(line);
      ++line_;
      if (line.cells.size() > 1 || !line.cells.front().empty()) return line;
    }
    return std::nullopt;
  }

 private:
  // Returns whether the line has another one.
  bool take_cell(CsvLine& line) {
    std::string& cell = line.cells.emplace_back();
    if (text_.starts_with('"')) take_quoted(cell);
    const auto end = std::min(text_.find_first_of(",\n"), text_.size());
    cell += text_.substr(0, end);
    const bool more = end < text_.size() && text_[end] == ',';
    text_.remove_prefix(std::min(end + 1, text_.size()));
    if (!more && cell.ends_with('\r')) cell.pop_back();
    return more;
  }

  void take_quoted(std::string& cell) {
    const std::int64_t first = line_;
    for (std::size_t at = 1;; ++at) {
      if (at >= text_.size()) {
        throw io::UserError({.expected = "a quote that ends the cell",
                             .found = "the file's end",
                             .where = fmt::format("{}, line {}", where_, first),
                             .remedy = "close the quote, or write a quote within one twice"});
      }
      if (text_[at] == '\n') ++line_;
      if (text_[at] == '"' && !text_.substr(at + 1).starts_with('"')) {
        text_.remove_prefix(at + 1);
        return;
      }
      if (text_[at] == '"') ++at;
      cell += text_[at];
    }
  }

  std::string_view text_;
  std::string where_;
  std::int64_t line_ = 1;
};

// The header, and what its columns mean.
class Columns {
 public:
  Columns(std::vector<std::string> names, const std::string& where) : names_(std::move(names)) {
    std::set<std::string> seen;
    for (const std::string& name : names_) {
      if (!seen.insert(name).second) refuse("each column once", fmt::format("'{}' twice", name), where);
    }
    const auto has = [&](const MeasureTraits& traits) { return place(traits.column).has_value(); };
    if (!place("method") || !place("edits") || std::ranges::none_of(all_measures(), has)) {
      refuse("the columns method, edits and a figure (kept, efficacy_accuracy, ...)",
             fmt::format("{}", fmt::join(names_, ", ")), where);
    }
  }

  std::size_t size() const { return names_.size(); }
  const std::string& name(std::size_t column) const { return names_[column]; }
  std::optional<std::size_t> place(std::string_view name) const {
    const auto found = std::ranges::find(names_, name);
    return found == names_.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - names_.begin()));
  }

 private:
  [[noreturn]] static void refuse(const std::string& expected, const std::string& found, const std::string& where) {
    throw io::UserError({.expected = expected,
                         .found = found,
                         .where = where + ", line 1",
                         .remedy = "tests/bench/science/table.py writes such a table"});
  }

  std::vector<std::string> names_;
};

class Rows {
 public:
  Rows(Columns columns, std::string where) : columns_(std::move(columns)), where_(std::move(where)) {}

  void add(const CsvLine& line, const std::string& label) {
    if (line.cells.size() != columns_.size()) {
      refuse(fmt::format("{} cells, as the header has", columns_.size()), std::to_string(line.cells.size()), line);
    }
    MeasuredState state = state_of(line);
    Comparison& comparison = comparison_of(line, label);
    for (const MeasuredState& other : comparison.states) {
      if (other.method == state.method && other.edits == state.edits)
        refuse("each method once after so many edits",
               fmt::format("'{}' after {} edits twice", state.method, state.edits), line);
    }
    comparison.states.push_back(std::move(state));
  }

  std::vector<Comparison> take() { return std::move(comparisons_); }

 private:
  [[noreturn]] void refuse(const std::string& expected, const std::string& found, const CsvLine& line) const {
    throw io::UserError({.expected = expected,
                         .found = found,
                         .where = fmt::format("{}, line {}", where_, line.number),
                         .remedy = "fix the line or make the table again"});
  }

  std::optional<double> number(const CsvLine& line, std::string_view column) const {
    const auto place = columns_.place(column);
    if (!place || line.cells[*place].empty()) return std::nullopt;
    const std::string& cell = line.cells[*place];
    double value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
      refuse(fmt::format("a number as '{}'", column), fmt::format("'{}'", cell), line);
    return value;
  }

  MeasuredState state_of(const CsvLine& line) const {
    const auto edits = number(line, "edits");
    if (!edits || *edits < 0 || *edits != std::floor(*edits) || *edits > 1e15)
      refuse("a whole number as 'edits'", fmt::format("'{}'", line.cells[*columns_.place("edits")]), line);
    MeasuredState state{.method = line.cells[*columns_.place("method")],
                        .edits = static_cast<std::int64_t>(*edits)};
    for (const MeasureTraits& traits : all_measures()) {
      const auto value = number(line, traits.column);
      if (!value) continue;
      Figure figure{.value = *value};
      const auto low = number(line, fmt::format("{}_low", traits.column));
      const auto high = number(line, fmt::format("{}_high", traits.column));
      if (low && high) figure.interval = Interval{*low, *high};
      state.figures[traits.measure] = figure;
    }
    for (std::size_t column = 0; column < columns_.size(); ++column) add_drift(state, line, columns_.name(column));
    return state;
  }

  void add_drift(MeasuredState& state, const CsvLine& line, std::string_view column) const {
    if (!column.starts_with(drift_prefix)) return;
    std::int64_t layer = 0;
    const auto [end, error] =
        std::from_chars(column.data() + drift_prefix.size(), column.data() + column.size(), layer);
    if (error != std::errc() || end != column.data() + column.size()) return;
    if (const auto drift = number(line, column)) state.drift[layer] = *drift;
  }

  // Rows belong together where the columns before `method` are the same.
  Comparison& comparison_of(const CsvLine& line, const std::string& label) {
    std::string name = label;
    for (std::size_t column = 0; column < *columns_.place("method"); ++column) {
      if (columns_.name(column) != "edits")
        name += fmt::format(", {} {}", columns_.name(column), line.cells[column]);
    }
    const auto found = std::ranges::find(comparisons_, name, &Comparison::label);
    if (found != comparisons_.end()) return *found;
    return comparisons_.emplace_back(Comparison{.label = name, .source = {}});
  }

  Columns columns_;
  std::string where_;
  std::vector<Comparison> comparisons_;
};

}  // namespace

std::vector<Comparison> read_comparisons(std::string_view text, const std::string& label,
                                         const std::string& where) {
  CsvReader reader(text, where);
  auto header = reader.next();
  Rows rows(Columns(header ? std::move(header->cells) : std::vector<std::string>(), where), where);
  while (const auto line = reader.next()) rows.add(*line, label);
  auto comparisons = rows.take();
  if (comparisons.empty()) {
    throw io::UserError({.expected = "a line per state",
                         .found = "the header alone",
                         .where = where,
                         .remedy = "check that the table is whole"});
  }
  return comparisons;
}

}  // namespace anchorage::launch
