// Reads a report of `anchorage eval --json`: whichever sections it has.
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/text/strict_json.hpp"
#include "launch/commands/report/report_inputs.hpp"

namespace anchorage::launch {
namespace {

using nlohmann::json;

// A section of the document, and where it is: "report.json, efficacy".
struct ReportedSection {
  const json& content;
  std::string where;
};

[[noreturn]] void refuse_evaluation(const std::string& expected, const json& found, const std::string& where) {
  throw io::UserError({.expected = expected,
                       .found = io::shown(found),
                       .where = where,
                       .remedy = "give a report as 'anchorage eval --json' prints it"});
}

// Returns the member, or nothing where it is not there or null.
const json* member(const ReportedSection& section, std::string_view name) {
  const auto found = section.content.find(name);
  return found == section.content.end() || found->is_null() ? nullptr : &*found;
}

// Follows "tasks/known/kept" from a section on.
std::optional<ReportedSection> section_of(const ReportedSection& root, std::string_view path) {
  if (path.empty()) return root;
  const std::string_view name = path.substr(0, path.find('/'));
  path.remove_prefix(std::min(path.size(), name.size() + 1));
  const json* found = member(root, name);
  if (found == nullptr) return std::nullopt;
  const std::string where = fmt::format("{}, '{}'", root.where, name);
  if (!found->is_object()) refuse_evaluation("an object", *found, where);
  return section_of({*found, where}, path);
}

double number(const json& value, const std::string& where) {
  if (!value.is_number()) refuse_evaluation("a number or null", value, where);
  return value.get<double>();
}

std::optional<Figure> figure_in(const ReportedSection& section, std::string_view field) {
  const json* value = member(section, field);
  if (value == nullptr) return std::nullopt;
  const std::string where = fmt::format("{}, '{}'", section.where, field);
  Figure figure{.value = number(*value, where)};
  if (const json* interval = member(section, fmt::format("{}_interval", field))) {
    if (!interval->is_array() || interval->size() != 2)
      refuse_evaluation("[low, high]", *interval, where + "'s interval");
    figure.interval = Interval{number((*interval)[0], where), number((*interval)[1], where)};
  }
  return figure;
}

// What `eval` says of a task; "kept" holds the same names, of what is left of each above chance.
struct TaskTraits {
  std::string_view field, name, meaning, kept;
};
constexpr std::array task_traits{
    TaskTraits{"auc", "AUC", "How well the answers' log-probabilities tell the classes apart; 0.5 is chance.",
               "AUC kept"},
    TaskTraits{"accuracy", "answered", "Questions of the task that are answered.", "kept"},
    TaskTraits{"greedy", "answered greedily", "Greedy decoding writes the right answer.", "kept greedily"},
    TaskTraits{"rouge", "ROUGE", "The mean of ROUGE-1, -2 and -L of the summaries.", "ROUGE kept"},
    TaskTraits{"exact", "exact", "The generated answer is a right one.", "exact kept"},
    TaskTraits{"contained", "contained", "The generated answer contains a right one.", "contained kept"}};

void add_task(Evaluation& evaluation, const std::string& name, const ReportedSection& task) {
  const auto add = [&](std::string_view what, std::string_view meaning, const std::optional<Figure>& figure) {
    if (figure) evaluation.tasks.push_back({name, what, meaning, *figure});
  };
  for (const TaskTraits& traits : task_traits) add(traits.name, traits.meaning, figure_in(task, traits.field));
  const auto kept = section_of(task, "kept");
  if (!kept) return;
  add("kept", "Of what was answered before, the share that still is.", figure_in(*kept, "share"));
  for (const TaskTraits& traits : task_traits)
    add(traits.kept, "Of what it had above chance before, the share that is left.", figure_in(*kept, traits.field));
}

void add_tasks(Evaluation& evaluation, const ReportedSection& root) {
  const auto tasks = section_of(root, "tasks");
  if (!tasks) return;
  for (const auto& [name, content] : tasks->content.items()) {
    const std::string where = fmt::format("{}, '{}'", tasks->where, name);
    if (!content.is_object()) refuse_evaluation("an object", content, where);
    add_task(evaluation, name, {content, where});
  }
}

void add_texts(Evaluation& evaluation, const ReportedSection& root) {
  const auto generation = section_of(root, "generation");
  if (!generation) return;
  const json* texts = member(*generation, "texts");
  if (texts == nullptr) return;
  const std::string where = generation->where + ", 'texts'";
  if (!texts->is_array()) refuse_evaluation("an array", *texts, where);
  for (const json& text : *texts) {
    if (!text.is_object()) refuse_evaluation("an object", text, where);
    const json *id = member({text, where}, "id"), *prompt = member({text, where}, "prompt");
    if (id == nullptr || !id->is_string()) refuse_evaluation("an object with the edit's 'id'", text, where);
    if (prompt == nullptr) continue;  // could not be continued
    if (!prompt->is_string()) refuse_evaluation("a text or null as 'prompt'", text, where);
    evaluation.texts[id->get<std::string>()] = prompt->get<std::string>();
  }
}

// Takes "night@500" apart.
void set_name(Evaluation& evaluation, const std::string& label) {
  evaluation.label = evaluation.name = label;
  const auto at = label.rfind('@');
  if (at == label.npos || at == 0) return;
  const char *begin = label.data() + at + 1, *end = label.data() + label.size();
  const auto [parsed, error] = std::from_chars(begin, end, evaluation.edits);
  if (error == std::errc() && parsed == end && evaluation.edits >= 0) evaluation.name = label.substr(0, at);
}

}  // namespace

Evaluation read_evaluation(std::string_view text, const std::string& label, const std::string& where) {
  const io::Diagnostic diagnostic{.expected = "a report of 'anchorage eval --json'",
                                  .found = {},
                                  .where = where,
                                  .remedy = "make it with 'anchorage eval MODEL-or-RUN --json'"};
  const json document = io::parse_strict_json(text, diagnostic);
  const ReportedSection root{document, where};
  Evaluation evaluation;
  set_name(evaluation, label);
  if (evaluation.name == label) {
    const auto evaluated = figure_in(root, "n");
    evaluation.edits = evaluated ? static_cast<std::int64_t>(evaluated->value) : 0;
  }
  for (const MeasureTraits& traits : all_measures()) {
    if (traits.field.empty()) continue;
    const auto section = section_of(root, traits.sections);
    const auto figure = section ? figure_in(*section, traits.field) : std::nullopt;
    if (figure) evaluation.figures[traits.measure] = *figure;
  }
  add_tasks(evaluation, root);
  add_texts(evaluation, root);
  if (evaluation.figures.empty() && evaluation.tasks.empty() && evaluation.texts.empty())
    refuse_evaluation("a report of 'anchorage eval --json' with a section that was measured", document, where);
  return evaluation;
}

}  // namespace anchorage::launch
