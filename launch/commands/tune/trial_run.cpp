#include "launch/commands/tune/trial_run.hpp"

#include <algorithm>

#include "launch/commands/edit_contexts.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/batch_editor.hpp"
#include "worker/evaluation/edit_metrics.hpp"
#include "worker/evaluation/text_loss.hpp"

namespace anchorage::launch {

TrialFigures measure(const TrialBasis& basis, Session& session) {
  const auto& transformer = basis.model.transformer;
  const auto metrics = worker::evaluate_edits(transformer, basis.prompts, basis.edits, session.communicators());
  const auto text = worker::loss_on_sequences(transformer, basis.held_out, session.communicators());
  return {.match = metrics.efficacy.accuracy,
          .paraphrases = metrics.paraphrase.accuracy,
          .neighbors = metrics.neighborhood.success,
          .loss = text.loss};
}

TrialFigures try_hparams(const TrialBasis& basis, const io::Hparams& hparams, const io::StatisticsFile& statistics,
                         Session& session) {
  worker::EditedWeights weights(basis.model.transformer, basis.model.directory,
                                {hparams.layers.begin(), hparams.layers.end()});
  worker::BatchEditor editor(basis.model.transformer, weights, basis.prompts, hparams, basis.method, statistics,
                             basis.contexts, sink_limits(statistics, hparams), session.communicators());
  const worker::BatchResult result = editor.apply(basis.edits);
  TrialFigures figures = measure(basis, session);
  for (const worker::LayerUpdate& layer : result.layers)
    figures.drift = std::max(figures.drift, layer.norms.drift());
  figures.refused =
      std::ranges::count_if(result.edits, [](const worker::EditOutcome& edit) { return !edit.refusal.empty(); });
  editor.discard();
  return figures;
}

}  // namespace anchorage::launch
