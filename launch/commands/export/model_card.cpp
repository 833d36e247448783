#include "launch/commands/export/model_card.hpp"

#include <fmt/ranges.h>

#include <cmath>

namespace anchorage::launch {
namespace {

constexpr auto limits = R"(## Limits

- Editing makes the model prefer a new answer; it does not erase the old one, which other prompts may still bring out.
- Answers are measured after the edits' own prompts, with the target given. Free generation, reasoning over several facts
  and prompts in other languages hold fewer of them. `anchorage eval` measures paraphrases, neighboring facts, general
  abilities and the loss on a text.
- Whatever the base model's license and card say of its use and its limits holds here too.
)";

std::string front_matter(const ExportedRun& run, const ExportForm& form) {
  return fmt::format(
      "---\nbase_model: {}\nlibrary_name: {}\npipeline_tag: text-generation\ntags:\n- anchorage\n"
      "- knowledge-editing\n- {}\n{}---\n",
      nlohmann::json(base_name(run)).dump(), form.library, run.record.method,
      form.name == "peft" ? "- lora\n" : "");
}

std::string scores(const ExportedRun& run, const ExportReport& report) {
  std::string text = "## Scores\n\n";
  if (run.scores.edits > 0) {
    text += fmt::format(
        "- After its own batch, {:.4f} of the {} edits had the target's tokens as the most probable ones; the mean "
        "was {:.4f} nats per token.\n",
        run.scores.matched, run.scores.edits, run.scores.nll);
  }
  for (const io::ProbeRecord& probe : run.probes) {
    if (std::isnan(probe.before) || std::isnan(probe.after)) continue;
    text += fmt::format("- Guard, last batch: {} {:.4f} before, {:.4f} after.\n", probe.name, probe.before,
                        probe.after);
  }
  for (const std::string& sentence : report.card) text += fmt::format("- {}\n", sentence);
  return text == "## Scores\n\n" ? text + "None were measured.\n" : text;
}

}  // namespace

std::string model_card(const ExportedRun& run, const ExportForm& form, const ExportReport& report) {
  return fmt::format(
      "{}\n# {}, edited\n\n`{}` with {} facts written into its weights by Anchorage {}, method `{}`. Layers {} "
      "were edited; nothing else was changed or trained.\n\nThis directory holds {}; `sha256sum --check "
      "SHA256SUMS` "
      "proves its files. The state is that after segment {} of the run's journal.\n\n```\n{}\n```\n\n{}\n{}",
      front_matter(run, form), base_name(run), base_name(run), run.scores.edits, ANCHORAGE_VERSION,
      run.record.method, fmt::join(run.updates.layers(), ", "), form.content, run.segment, form.use,
      scores(run, report), limits);
}

}  // namespace anchorage::launch
