// The sections of a report's page, each of one input.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "launch/commands/report/html.hpp"
#include "launch/commands/report/report_inputs.hpp"

namespace anchorage::launch {

// A method looks the same in all sections: its style is its place in the order in which the page names methods.
class MethodStyles {
 public:
  std::size_t of(const std::string& method) { return styles_.try_emplace(method, styles_.size()).first->second; }
  std::size_t count() const { return styles_.size(); }

 private:
  std::map<std::string, std::size_t> styles_;
};

// A section and what it comes to in one sentence.
struct Section {
  std::string id;  // on the page
  std::string title;
  Markup content;
  Markup summary;
};

// Curves over the number of edits, the frontier of kept facts against exact matches, the drift of the layers, and
// the table of all states. `id` is unique on the page.
Section comparison_section(const Comparison& comparison, const std::string& id, MethodStyles& styles);

// Batches, anchors, and the edits that failed, with what the model says where `texts` has it.
Section run_section(const RunContents& run, const Evaluation* texts, const std::string& id);

// All evaluations beside each other.
Section evaluation_section(std::span<const Evaluation> evaluations, const std::string& id);

// The evaluations as states of their names, for curves; without states where no name has two.
Comparison states_of(std::span<const Evaluation> evaluations);

// The parts that sections are made of.

Markup figure(std::string_view heading, std::string_view meaning, const Markup& picture);
// A table that scrolls in a box of its own, with the keyboard too.
Markup table_box(std::string_view name, std::string_view caption, const Markup& head, const Markup& body);
enum class Align { left, right };  // text, numbers
struct Column {
  std::string name;
  Align align = Align::right;
};
Markup heading_row(std::span<const Column> columns);
// "1,000"
std::string with_commas(std::int64_t number);
// "edit" or "edits" after the number: "1 edit", "1,000 edits".
std::string counted(std::int64_t number, std::string_view thing);
// A number of so many decimals, or an en dash.
std::string or_dash(const std::optional<double>& value, int decimals);

}  // namespace anchorage::launch
