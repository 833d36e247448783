// Measures weights on what an export is compared by: answers to edits, and the sentences that the guard watches.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/model/model_directory.hpp"
#include "launch/commands/export/export_report.hpp"
#include "worker/evaluation/score.hpp"

namespace anchorage::launch {

// Edits whose answers are compared; of more, as many are chosen, evenly over all.
inline constexpr std::int64_t most_edits_compared = 256;

struct ReadBackOptions {
  torch::Device device = torch::kCPU;
  std::optional<torch::ScalarType> dtype;  // none: the checkpoint's own
};

// What one set of weights makes of the texts: the scores of each, in the same order for all weights.
struct Measures {
  std::vector<worker::CompletionScore> edits;
  std::vector<worker::CompletionScore> sentences;

  double matched() const;  // share of the edits whose target's tokens are all the most probable; NaN without edits
  double nll() const;      // mean over edits, nats per token
  double loss() const;     // of the sentences, nats per token
};

// Measures a model, loaded whole on this rank, with its edited weights [d, f] f32 replaced by those given by layer.
// Throws io::UserError as worker::load_transformer does.
Measures measure(const io::ModelDirectory& model, const std::map<std::int64_t, torch::Tensor>& weights,
                 const std::vector<io::Edit>& edits, const ReadBackOptions& options);

struct Difference {
  double edits = 0;           // the largest one of a log-probability of an edit's target
  double sentences = 0;       // the largest one of a sentence's token
  std::int64_t compared = 0;  // log-probabilities

  double largest() const;
};

// Compares two measures of the same texts.
Difference difference_of(const Measures& left, const Measures& right);

// The largest difference of two log-probabilities that rounding in f32 explains.
inline constexpr double read_back_tolerance = 1e-4;

// Reports what was read back. Throws io::SystemError, for exit code 1, where it differs from the run's own weights
// by more than `read_back_tolerance`.
void report_difference(ExportReport& report, const Difference& difference, const Measures& found);

}  // namespace anchorage::launch
