// Holds what a model generated for edits against their answers, as SQuAD compares answers
// (io/evaluation/answer_match.hpp). Scores are averaged over an edit's prompts first and over edits then, with
// bootstrap intervals over edits, as in edit_metrics.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "io/edits/edit.hpp"
#include "worker/evaluation/edit_figure.hpp"
#include "worker/evaluation/edit_generations.hpp"
#include "worker/evaluation/generation_baseline.hpp"

namespace anchorage::worker {

// The figures of one kind of prompts.
struct GenerationMetric {
  EditFigure exact{};            // share of texts that match an accepted answer exactly
  EditFigure contained{};        // share of texts that contain one
  EditFigure naturally_ended{};  // share of texts
  EditFigure same{};             // neighborhood with a baseline alone: share of texts that match what it has
  std::int64_t left_out = 0;     // prompts
};

struct GenerationMetrics {
  GenerationMetric prompts, paraphrases, neighborhood, portability;
  std::optional<double> naturally_ended{};  // of all texts, whatever their prompt
};

// Holds the texts against the targets; those of neighborhood and portability against their own answers with
// aliases.
GenerationMetrics measure(std::span<const io::Edit> edits, const EditGenerations& generations,
                          const GenerationBaseline* baseline = nullptr);

}  // namespace anchorage::worker
