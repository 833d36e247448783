// Applies batches of edits to the edited layers of a model that every rank holds (replicas).
//
// A batch: each rank finds the values of its groups of edits; layer by layer, the keys and the rest of the residual
// are gathered in the order of edits, the layer's owner solves, the update is broadcast and added by all. Every
// rank makes the same calls in the same order; the weights come out the same, bit for bit, for any number of ranks.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "io/statistics_file.hpp"
#include "sharding/command.hpp"
#include "worker/editing/edit_group.hpp"
#include "worker/editing/edited_weights.hpp"
#include "worker/editing/least_squares.hpp"
#include "worker/editing/method.hpp"
#include "worker/ranks.hpp"

namespace anchorage::worker {

// What became of an edit. Numbers are of the bare prompt: mean negative log-probability a target token, and whether
// every target token was the most probable one.
struct EditOutcome {
  std::string refusal;  // empty: written
  double nll_before = 0, nll_after = 0;
  bool match_before = false, match_after = false;
};

// One layer's part of a batch; b written edits, in their order.
struct LayerUpdate {
  std::int64_t layer = 0;
  torch::Tensor keys;       // [b, f] f32
  torch::Tensor residuals;  // [b, d] f32
  torch::Tensor u;          // [d, b] f32
  torch::Tensor v;          // [f, b] f32
  double update_norm = 0;   // |u v^T|
  double total_norm = 0;    // |W - W(base)| after it
  double base_norm = 0;     // |W(base)|; Frobenius norms, on rank 0 only
};

struct BatchResult {
  std::vector<EditOutcome> edits;  // one an edit given
  std::vector<LayerUpdate> layers;
  sharding::BatchSeconds seconds;  // of this rank
};

class BatchEditor {
 public:
  // Collective: owners of edited layers factor their second moments. Borrows all but the method, contexts and
  // limits.
  BatchEditor(Transformer& model, EditedWeights& weights, const PromptBuilder& prompts, const io::Hparams& hparams,
              Method method, const io::StatisticsFile& statistics, Contexts contexts, SinkLimits limits,
              const Ranks& ranks);

  // Collective.
  BatchResult apply(std::span<const io::Edit> edits);

  // Adds a committed layer update again, and its keys to the layer's least squares. Not collective; all ranks call
  // it.
  void replay(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u, const torch::Tensor& v);

  std::int64_t group_size() const { return group_size_; }

 private:
  std::vector<EditGroup> find_values(std::span<const io::Edit> edits, sharding::BatchSeconds& seconds);
  torch::Tensor gather(const std::vector<torch::Tensor>& own, std::int64_t width, std::string_view operation,
                       sharding::BatchSeconds& seconds);
  LayerUpdate write_layer(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& residuals,
                          sharding::BatchSeconds& seconds);
  void measure(LayerUpdate& update) const;
  int owner(std::int64_t layer) const { return owners_.at(layer); }

  Transformer& model_;
  EditedWeights& weights_;
  const PromptBuilder& prompts_;
  const io::Hparams& hparams_;
  Method method_;
  Contexts contexts_;
  SinkLimits limits_;
  Ranks ranks_;
  std::int64_t group_size_;
  std::map<std::int64_t, int> owners_;
  std::map<std::int64_t, KeyMetric> metrics_;  // of the layers that this rank owns
};

}  // namespace anchorage::worker
