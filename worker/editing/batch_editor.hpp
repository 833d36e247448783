// Applies batches of edits to the edited layers of a model, over stages x replicas.
//
// For a batch, each replica finds the values of its groups of edits; keys and residuals are gathered in the
// order of edits; the layers' owners solve and broadcast the updates, and all ranks that hold the layer add
// them. Every rank makes the same calls in the same order, and all know the batch's keys, residuals and
// updates; the weights come out the same, bit for bit, on any number of ranks in any shape.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "io/run/journal/segment.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/anchors/refresh.hpp"
#include "worker/editing/method.hpp"
#include "worker/editing/update/edited_weights.hpp"
#include "worker/editing/update/layer_solver.hpp"
#include "worker/editing/values/edit_group.hpp"

namespace anchorage::worker {

// The outcome of an edit. Numbers refer to the bare prompt: mean negative log-probability per target token,
// and whether every target token was the most probable one.
struct EditOutcome {
  std::string refusal;  // empty: written
  double nll_before = 0, nll_after = 0;
  bool match_before = false, match_after = false;
};

struct BatchResult {
  std::vector<EditOutcome> edits;  // one per given edit
  std::vector<LayerUpdate> layers;
  std::vector<io::AnchorRecord> anchors;  // a row per written edit; on replica 0, for methods that select anchors
  sharding::BatchSeconds seconds;         // measured on this rank
};

class BatchEditor {
 public:
  // Every rank constructs one; not collective. Owners of edited layers factor their second moments. Borrows
  // all but the method, contexts and limits. Throws as LayerSolver does.
  BatchEditor(Transformer& model, EditedWeights& weights, const PromptBuilder& prompts, const io::Hparams& hparams,
              const Method& method, const io::StatisticsFile& statistics, Contexts contexts, SinkLimits limits,
              const Communicators& ranks);

  // Writes the edits into the weights; refuses only the edits that cannot be written, each with a reason.
  // Returns the result on every rank, except norms and anchors, which are on replica 0 only. Collective;
  // throws CollectiveError where a rank stays away.
  BatchResult apply(std::span<const io::Edit> edits);

  // Removes committed edits from weights and least squares (removal.hpp). Collective; norms are on replica 0
  // only.
  std::vector<LayerRemoval> remove(const sharding::Removal& removal, sharding::BatchSeconds& seconds);

  // Adds a committed layer update to the weights again, and its keys to the layer's least squares. Not
  // collective; all ranks call it.
  void replay(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u, const torch::Tensor& v);
  // Removes the edits of a committed removal again. Not collective; all ranks call it.
  void replay_removal(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u,
                      const torch::Tensor& v);
  // Restores the rolling scores [d] of an edited layer from a committed segment. Not collective; all ranks
  // call it.
  void replay_anchors(std::int64_t layer, std::span<const double> rolling);

  // Everything that a batch changes. Restoring it, bit for bit, reverts a batch.
  struct State {
    EditedWeights::Snapshot weights;
    LayerSolver::State least_squares;
    RollingScores rolling;
  };
  State state() const { return {weights_.snapshot(), solver_.state(), rolling_}; }
  void restore(const State& state);
  // Restore a layer from a checkpoint: the master [d, f] where this rank holds the layer, and on its owner
  // the system and inverse of its least squares.
  void restore_weight(std::int64_t layer, const torch::Tensor& master);
  void restore_least_squares(std::int64_t layer, const torch::Tensor& system, const torch::Tensor& inverse);
  bool owns(std::int64_t layer) const { return solver_.owns(layer); }
  bool holds(std::int64_t layer) const { return weights_.holds(layer); }
  const std::vector<std::int64_t>& layers() const { return weights_.layers(); }

  std::int64_t group_size() const { return group_size_; }
  // Returns the dimensions of the null spaces, by layer, of a method that writes only there; empty for other
  // methods. Collective.
  std::map<std::int64_t, std::int64_t> null_spaces() const;

 private:
  using Groups = std::vector<EditGroup>;

  Groups make_groups(std::span<const io::Edit> edits) const;
  void find_values(Groups& groups, sharding::BatchSeconds& seconds) const;
  std::vector<LayerUpdate> write_in_turn(const Groups& groups, sharding::BatchSeconds& seconds);
  std::vector<LayerUpdate> write_jointly(const Groups& groups, sharding::BatchSeconds& seconds);
  std::vector<io::AnchorRecord> refresh_anchors(const Groups& groups, std::int64_t written);
  torch::Tensor scores(std::span<const io::Edit> edits, sharding::BatchSeconds& seconds) const;
  torch::Tensor gather(const std::vector<torch::Tensor>& own, std::int64_t width, std::string_view operation,
                       sharding::BatchSeconds& seconds) const;
  torch::Tensor gather_keys(const Groups& groups, std::int64_t layer, sharding::BatchSeconds& seconds) const;
  using OfEachLayer = std::function<std::vector<torch::Tensor>(const EditGroup& group)>;
  std::vector<torch::Tensor> gather_of_each_layer(const Groups& groups, const OfEachLayer& rows, std::int64_t width,
                                                  std::string_view operation,
                                                  sharding::BatchSeconds& seconds) const;
  sharding::Timeout timeout_for(std::int64_t edits) const;
  // Computes |u v^T|, |W - W(base)| and |W(base)| of a layer. Collective over the stages of a replica.
  io::LayerNorms norms_of(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) const;

  Transformer& model_;
  EditedWeights& weights_;
  const PromptBuilder& prompts_;
  const io::Hparams& hparams_;
  Method method_;
  Contexts contexts_;
  SinkLimits limits_;
  Communicators communicators_;
  std::int64_t group_size_;
  LayerSolver solver_;
  RollingScores rolling_;
  sharding::Timeout timeout_ = sharding::Timeout::until_deadline;  // for the current batch
};

}  // namespace anchorage::worker
