#include "launch/commands/tune/report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

#include "launch/program/measured.hpp"

namespace anchorage::launch {
namespace {

std::string layers_text(const std::vector<int>& layers) {
  const bool is_range = layers.size() > 1 && layers.back() - layers.front() + 1 == std::ssize(layers);
  return is_range ? fmt::format("{}-{}", layers.front(), layers.back()) : fmt::format("{}", fmt::join(layers, ","));
}

std::string figures_line(const TrialFigures& figures) {
  return fmt::format("{:>8}{:>13}{:>11}{:>9}{:>10.4f}", number_or_dash(figures.match),
                     number_or_dash(figures.paraphrases), number_or_dash(figures.neighbors),
                     number_or_dash(figures.loss, 4), figures.drift);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Breaks a text into comment lines.
std::string comment(const std::string& text) {
  constexpr std::size_t width = 118;
  std::string comment, line = "#";
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (line.size() + 1 + word.size() > width) {
      comment += line + "\n";
      line = "#";
    }
    line += " " + word;
  }
  return comment + line + "\n";
}

std::string first_comment(const Tuning& tuning) {
  const Trial& chosen = tuning.trials[tuning.chosen];
  std::string text =
      comment(fmt::format("{}, for {}: chosen by 'anchorage tune' (docs/tune.md).", tuning.model, tuning.method)) +
      "#\n" +
      comment(fmt::format("Sample: {}. Second moments: {}. Held-out loss: {}.", tuning.sample, tuning.moments,
                          tuning.text)) +
      comment(fmt::format("Causal trace over {} facts: the answer has probability {:.4f}, {:.4f} with its subject "
                          "corrupted; restoring layer {} brings back most, {:.4f}.",
                          tuning.trace.facts, tuning.trace.clean, tuning.trace.corrupted, tuning.trace.peak,
                          tuning.trace.effects[static_cast<std::size_t>(tuning.trace.peak)])) +
      "#\n";
  for (const std::string& line : lines_of(trial_table(tuning))) text += "# " + line + "\n";
  text += "#\n" + comment("The rule: " + words_of(tuning.limits) + ".");
  if (!keeps_loss(chosen.figures, tuning.before, tuning.limits))
    text += comment("No trial was within the limit of the loss: this is the one of the smallest.");
  return text + comment("One seed. What is not named here has the default of docs/hparams.md.");
}

// The source of a value; nothing for one that the file need not have.
std::string source_of(const std::string& key, bool is_default, const Tuning& tuning) {
  if (key == "layers") return fmt::format("tuned; the trace's peak is layer {}", tuning.trace.peak);
  if (key == "clamp_norm_factor" || (key == "mom2_update_weight" && tuning.uses_weight)) return "tuned";
  if (!is_default) return "from " + tuning.start;
  if (key == "rewrite_module_tmp") return "the family's";
  return key == "v_loss_layer" ? "the last layer" : "";
}

}  // namespace

std::string trace_table(const TraceFigures& trace) {
  constexpr double width = 40;
  std::string table = fmt::format(
      "causal trace over {} facts: probability of the answer {:.4f}, {:.4f} with its subject "
      "corrupted\nlayer  indirect effect\n",
      trace.facts, trace.clean, trace.corrupted);
  const double most = std::max(0.0, *std::ranges::max_element(trace.effects));
  for (std::size_t layer = 0; layer < trace.effects.size(); ++layer) {
    const double effect = trace.effects[layer];
    const auto cells = most > 0 && effect > 0 ? static_cast<std::size_t>(width * effect / most) : 0;
    table += fmt::format("{:>5}  {:>8.4f}  {}\n", layer, effect, std::string(cells, '='));
  }
  return table;
}

std::string trial_table(const Tuning& tuning) {
  std::string table = fmt::format("  {:<14}{:>8}{:>7}{:>8}{:>13}{:>11}{:>9}{:>10}\n", "layers", "weight", "clamp",
                                  "match", "paraphrases", "neighbors", "loss", "drift");
  table += fmt::format("  {:<29}{}\n", "before", figures_line(tuning.before));
  for (std::size_t i = 0; i < tuning.trials.size(); ++i) {
    const auto& [settings, figures] = tuning.trials[i];
    table += fmt::format("{} {:<14}{:>8}{:>7}{}\n", i == tuning.chosen ? '*' : ' ', layers_text(settings.layers),
                         tuning.uses_weight ? fmt::format("{:g}", settings.mom2_update_weight) : "-",
                         fmt::format("{:g}", settings.clamp_norm_factor), figures_line(figures));
  }
  return table;
}

nlohmann::json document_of(const Tuning& tuning) {
  auto trials = nlohmann::json::array();
  for (const auto& [settings, figures] : tuning.trials) {
    nlohmann::json trial = document_of(settings);
    trial.update(document_of(figures));
    trials.push_back(std::move(trial));
  }
  return {{"model", tuning.model},
          {"method", tuning.method},
          {"trace", document_of(tuning.trace)},
          {"before", document_of(tuning.before)},
          {"trials", trials},
          {"chosen", tuning.chosen},
          {"within_loss_limit", keeps_loss(tuning.trials[tuning.chosen].figures, tuning.before, tuning.limits)},
          {"rule", words_of(tuning.limits)}};
}

std::string hparams_file(const Tuning& tuning, const io::Hparams& chosen, const io::Hparams& defaults) {
  std::string text = first_comment(tuning) + fmt::format("\nalg_name: {}\n", tuning.method);
  const auto lines = lines_of(io::to_yaml(chosen)), of_defaults = lines_of(io::to_yaml(defaults));
  for (const std::string& line : lines) {
    const std::string key = line.substr(0, line.find(':'));
    const std::string source = source_of(key, std::ranges::count(of_defaults, line) > 0, tuning);
    if (!source.empty()) text += fmt::format("{:<35} # {}\n", line, source);
  }
  return text;
}

}  // namespace anchorage::launch
