// What a report is made of: runs, reports of evaluations and tables of comparisons, read into plain structures that
// have no paths and no times of day.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "launch/commands/journal/anchor_history.hpp"
#include "launch/commands/report/measures.hpp"

namespace anchorage::launch {

// A model after so many edits, made by a method.
struct MeasuredState {
  std::string method;
  std::int64_t edits = 0;
  Figures figures{};
  std::map<std::int64_t, double> drift{};  // by layer: |W - W(base)| / |W(base)|
};

// States that were measured alike, so that their methods can be compared.
struct Comparison {
  std::string label;
  std::string source;  // the file's name
  std::vector<MeasuredState> states{};
};

// A figure of a task: a share.
struct TaskFigure {
  std::string task;
  std::string_view name, meaning;
  Figure figure;

  bool is_same_as(const TaskFigure& other) const { return task == other.task && name == other.name; }
};

// A report of `anchorage eval --json`.
struct Evaluation {
  std::string label;       // as given: "night@500"
  std::string name;        // the label without its number of edits
  std::int64_t edits = 0;  // of the state; as many as were evaluated where the label does not say
  std::string source;
  Figures figures{};
  std::vector<TaskFigure> tasks{};
  std::map<std::string, std::string> texts{};  // by the edit's id: what the model says after its prompt
};

// A live batch or removal of a run; what the journal or metrics.jsonl does not have is empty.
struct RunBatch {
  std::int64_t batch = 0;
  bool is_removal = false;
  std::int64_t committed = 0;
  std::int64_t set_aside = 0;
  std::int64_t removed = 0;
  std::optional<double> matched{};                    // share of the committed edits, after the batch
  std::optional<double> nll_before{}, nll_after{};    // of the targets: means, nats per token
  std::optional<double> loss_before{}, loss_after{};  // on held-out text, measured by the guard
  std::optional<double> seconds{};                    // wall clock, from submission to commit
  std::map<std::int64_t, double> drift{};             // by layer, after the batch
};

// An edit that was set aside, or whose target was not matched after its batch.
struct FailedEdit {
  std::int64_t batch = 0;
  std::string id;
  std::string prompt;  // with the subject in its place
  std::string wanted;
  std::optional<double> nll_before{}, nll_after{};
  std::string why;  // "not matched after its batch", or why it was set aside
  std::string now;  // "live", "superseded in 7", ...
};

struct RunContents {
  std::string label;
  std::string source;  // the directory's name
  std::string model;   // the base model's name
  std::string method;
  std::vector<RunBatch> batches{};
  std::int64_t edits = 0;  // all that are recorded and not rolled back
  std::int64_t live = 0;
  std::int64_t set_aside = 0;
  std::int64_t measured = 0;  // committed edits that were scored after their batch
  std::int64_t matched = 0;   // and of these, how many matched
  std::vector<FailedEdit> failed{};
  AnchorHistory anchors{};
};

struct ReportInputs {
  std::vector<RunContents> runs{};
  std::vector<Evaluation> evaluations{};
  std::vector<Comparison> comparisons{};
};

// Reads each INPUT, "[LABEL=]PATH": a run directory, a report of `eval --json` or a CSV of states. Without a label
// its name is that of the file, without the extension, or of the directory. A PATH that exists is not taken apart.
// Only reads. Throws UserError for what is none of the three, for one that is broken, and for a label that occurs
// twice.
ReportInputs read_report_inputs(std::span<const std::string> inputs);

// Reads a run as `journal list`, `show` and `anchors` do, without its lock. A last line of metrics.jsonl that a
// killed process left unfinished does not count.
RunContents read_run(const std::filesystem::path& path, const std::string& label);

// `text` is the file's; `where` names it in messages.
Evaluation read_evaluation(std::string_view text, const std::string& label, const std::string& where);

// One comparison, or several where columns before `method` say which rows belong together. Needs the columns
// `method` and `edits` and one of all_measures(); "<column>_low" and "<column>_high" are a figure's interval,
// "drift_<layer>" the layers' drift, other columns have no effect. An empty cell was not measured.
std::vector<Comparison> read_comparisons(std::string_view text, const std::string& label, const std::string& where);

}  // namespace anchorage::launch
