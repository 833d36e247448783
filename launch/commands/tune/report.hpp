// What `anchorage tune` prints and writes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/hparams/hparams.hpp"
#include "launch/commands/tune/choice.hpp"
#include "launch/commands/tune/figures.hpp"
#include "launch/commands/tune/search.hpp"

namespace anchorage::launch {

struct Tuning {
  std::string model, method;
  std::string sample;   // of edits, in words
  std::string moments;  // where the second moments are from
  std::string text;     // that the loss is of
  std::string start;    // where the values that no trial varies are from, beside the defaults
  TraceFigures trace{};
  TrialFigures before{};
  std::vector<Trial> trials{};
  std::size_t chosen = 0;
  ChoiceLimits limits{};
  bool uses_weight = true;  // whether the method uses mom2_update_weight
};

// Returns a line per layer, with a bar.
std::string trace_table(const TraceFigures& trace);

// Returns a line for the model before, and one for each trial; the chosen one is marked.
std::string trial_table(const Tuning& tuning);

nlohmann::json document_of(const Tuning& tuning);

// Returns the file of hyper-parameters: the chosen ones, resolved for the model, with what is known of them as
// comments. Values of `defaults`, which are resolved for the same layers, are left out.
std::string hparams_file(const Tuning& tuning, const io::Hparams& chosen, const io::Hparams& defaults);

}  // namespace anchorage::launch
