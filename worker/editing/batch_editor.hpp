// Applies batches of edits to the edited layers of a model, over stages x replicas.
//
// For a batch, each replica finds the values of its groups of edits, which are made in the order of
// sharding/edit_order.hpp where edits of one subject share a value; keys and residuals are gathered in the order of
// the batch; all ranks together solve, and those that hold a layer add its updates. What a batch changes waits
// beside weights and least squares until it is accepted. Every rank makes the same calls in the same order, and all
// know the batch's keys, residuals and updates; the weights come out the same, bit for bit, on any number of ranks
// in any shape.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/run/journal/segment.hpp"
#include "io/run/protected_keys.hpp"
#include "io/statistics/statistics_file.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/anchors/refresh.hpp"
#include "worker/editing/divided_batch.hpp"
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
  double target_norm = io::not_measured;  // mean over the edits, as found; of methods whose edits have one target
  sharding::ValuesFound values;
  sharding::BatchSeconds seconds;  // measured on this rank
};

class BatchEditor {
 public:
  // Inverts the second moments of the edited layers, with the keys that the run protects. Keeps what is cached of
  // the first `kept_groups` of a batch (EditGroup::locate_anchors), the same on all ranks. Borrows all but the
  // method, contexts, limits, plan and protected keys. Throws as LayerSolver does. Collective.
  BatchEditor(Transformer& model, EditedWeights& weights, const PromptBuilder& prompts, const io::Hparams& hparams,
              const Method& method, const io::StatisticsFile& statistics, Contexts contexts, SinkLimits limits,
              const Communicators& ranks, SlabPlan slabs = {},
              const std::optional<io::ProtectedKeys>& protected_keys = std::nullopt, std::int64_t kept_groups = 0);

  // Writes the edits into the weights; refuses only the edits that cannot be written, each with a reason.
  // Returns the result on every rank, except norms and anchors, which are on replica 0 only. Collective;
  // throws CollectiveError where a rank stays away.
  BatchResult apply(std::span<const io::Edit> edits);

  // Removes committed edits from weights and least squares (removal.hpp). Collective; norms are on replica 0
  // only.
  std::vector<LayerRemoval> remove(const sharding::Removal& removal, sharding::BatchSeconds& seconds);

  // Adds a committed layer update to the weights again, and its keys to the layer's least squares. Ranks that do
  // not hold the layer need no u and v. Collective.
  void replay(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u, const torch::Tensor& v);
  // Removes the edits of a committed removal again. Collective.
  void replay_removal(std::int64_t layer, const torch::Tensor& keys, const torch::Tensor& u,
                      const torch::Tensor& v);
  // Restores the rolling scores [d] of an edited layer from a committed segment. Not collective; all ranks
  // call it.
  void replay_anchors(std::int64_t layer, std::span<const double> rolling);

  // Take in what was applied, removed or replayed since the last call, or revert what was applied and removed:
  // weights, least squares and anchors are what they were, bit for bit, at no cost. `accept` returns whether
  // `refresh` should follow, and moves slabs where the load has shifted. Collective.
  bool accept();
  void discard();

  // Computes least squares anew in which rounding has added up; `live`: paths of the segments that make up the
  // state. Collective.
  void refresh(std::span<const std::string> live) { solver_.refresh(live); }

  // What a checkpoint is made of; nothing waits. This rank writes the masters of layers that it leads.
  EditedWeights& weights() { return weights_; }
  LayerSolver& solver() { return solver_; }
  bool holds(std::int64_t layer) const { return weights_.holds(layer); }
  const std::vector<std::int64_t>& layers() const { return weights_.layers(); }

  std::int64_t group_size() const { return group_size_; }
  // Returns the dimensions of the null spaces, by layer, of a method that writes only there; empty for other
  // methods. Collective.
  std::map<std::int64_t, std::int64_t> null_spaces() const;

 private:
  using Groups = std::vector<EditGroup>;

  Groups make_groups(const DividedBatch& batch) const;
  void absorb(LayerUpdate& update);
  void find_values(Groups& groups, const DividedBatch& batch) const;
  sharding::ValuesFound values_found(const Groups& groups, const DividedBatch& batch) const;
  // Sets the mean norm of the targets too.
  std::vector<LayerUpdate> write_in_turn(const Groups& groups, const DividedBatch& batch, double& target_norm);
  std::vector<LayerUpdate> write_jointly(Groups& groups, const DividedBatch& batch);
  std::vector<io::AnchorRecord> refresh_anchors(const Groups& groups, const DividedBatch& batch,
                                                std::int64_t written);
  torch::Tensor scores(std::span<const io::Edit> edits, const DividedBatch& batch) const;
  torch::Tensor gather_keys(const Groups& groups, std::int64_t layer, const DividedBatch& batch) const;
  // Returns for each group a tensor of each edited layer.
  using OfEachLayer = std::function<std::vector<std::vector<torch::Tensor>>()>;
  std::vector<torch::Tensor> gather_of_each_layer(const OfEachLayer& rows, std::int64_t width,
                                                  std::string_view operation, const DividedBatch& batch) const;
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
  std::int64_t group_size_, kept_groups_;
  LayerSolver solver_;
  RollingScores rolling_;
  std::optional<RollingScores> rolling_before_;  // a batch that waits
};

}  // namespace anchorage::worker
