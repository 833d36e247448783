// Computes what a range of layers costs the rank that holds it: bytes of memory by kind, and seconds of work.
//
// Weights, masters and second moments are exact. The rest are estimates, from prompts of typical length and
// from what a machine sustains. Pure functions of config and hyper-parameters; no weights are needed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "io/hparams/hparams.hpp"
#include "io/model/model_config.hpp"
#include "sharding/range.hpp"

namespace anchorage::coordinator {

// The hardware of one rank.
struct Machine {
  bool is_gpu = true;
  double memory_bytes = 80e9;
  // Operations per second sustained in a block of the model, counted as two for each weight and token: norms,
  // attention and activations take time but are not counted. The GPU's figures are assumed, not measured.
  double flops = 150e12;
  double double_flops = 20e12;                 // per second, in f64 products
  double memory_rate = 1.5e12;                 // bytes per second of matrices that are read and written as a whole
  double link_bytes = 25e9;                    // bytes per second between two ranks
  std::int64_t runtime_bytes = 1'500'000'000;  // of the process: CUDA context, libraries

  static Machine gpu() { return {}; }
  // The figures were measured with the demo model on a shared AMD EPYC with AVX-512: 58 Gflop/s per core over
  // whole edits, 65 in single blocks. `plan --measure` measures another machine.
  static Machine cpu(int threads);
};

struct Workload {
  io::ModelConfig model;
  io::Hparams hparams;            // without layers nothing is edited
  std::int64_t weight_bytes = 2;  // per weight, as loaded
  std::int64_t batch = 32;        // edits
  std::int64_t evaluations = 20;  // of an edit's loss and gradient; early stops are not counted
  bool joint = true;              // layers write their own values at once (B-EAC), or one value in turn (MEMIT)
};

struct RankBytes {
  std::int64_t weights = 0;
  // f32, of edited layers: one copy where the model's own dtype is shorter, one for reverting a batch, and
  // one more where layers are written jointly.
  std::int64_t masters = 0;
  std::int64_t second_moments = 0;  // of owned layers: A and its inverse, f64
  std::int64_t solving = 0;         // while an owner absorbs a batch's keys: new second moments beside the old, and
                                    // products
  std::int64_t activations = 0;     // of the groups in flight, kept for the backward pass
  std::int64_t caches = 0;          // attention's keys and values before the subjects; the head's probabilities
  std::int64_t runtime = 0;         // of the process; on CPUs also a checkpoint being written

  // Takes the larger of solving and activations: a batch's keys are absorbed after its values are found.
  [[nodiscard]] std::int64_t total() const {
    return weights + masters + second_moments + std::max(solving, activations) + caches + runtime;
  }
};

class StageCosts {
 public:
  StageCosts(Workload workload, Machine machine, int stages, int replicas);

  [[nodiscard]] std::int64_t group() const { return group_; }                // edits
  [[nodiscard]] std::int64_t step_tokens() const { return tokens_.steps; }   // of a group in one step
  [[nodiscard]] std::int64_t groups_per_replica() const { return groups_; }  // of the replica that has the most
  [[nodiscard]] std::int64_t groups_in_flight() const { return in_flight_; }

  // Returns the bytes of a rank that holds `layers` and owns `owned` of the edited ones among them.
  [[nodiscard]] RankBytes bytes(sharding::Range layers, std::int64_t owned) const;
  // Returns the bytes of the stage's fullest rank when its replicas share the ownership evenly.
  [[nodiscard]] RankBytes fullest(sharding::Range layers) const;
  [[nodiscard]] std::int64_t edited_in(sharding::Range layers) const;

  // Return the seconds of one group from its prompts to its values, and of scoring it before and after.
  [[nodiscard]] double values_seconds(sharding::Range layers) const;
  [[nodiscard]] double scoring_seconds(sharding::Range layers) const;
  // Returns the seconds of the guard's loss measurement, once per batch.
  [[nodiscard]] double probe_seconds(sharding::Range layers) const;
  // Return the seconds of a whole batch: of the owners' work at the same time, each on `owned` layers; of
  // their work one after another; and of traffic between ranks.
  [[nodiscard]] double solve_at_once_seconds(std::int64_t owned) const;
  [[nodiscard]] double solve_in_turn_seconds() const;
  [[nodiscard]] double link_seconds() const;

 private:
  [[nodiscard]] std::int64_t norm_parameters() const;
  [[nodiscard]] std::int64_t layer_parameters() const;
  [[nodiscard]] std::int64_t weights_of(sharding::Range layers) const;
  [[nodiscard]] bool has_head(sharding::Range layers) const { return layers.end == workload_.model.layers; }
  [[nodiscard]] std::int64_t layers_after_first_edit(sharding::Range layers) const;
  [[nodiscard]] std::int64_t predicted() const;  // tokens of a group that go through the head in a step
  // Operations.
  [[nodiscard]] double forward(std::int64_t layers, std::int64_t tokens) const;
  [[nodiscard]] double head(sharding::Range layers, std::int64_t predicted) const;
  // Seconds.
  [[nodiscard]] double layer_seconds() const;  // of its least squares
  [[nodiscard]] double product_seconds() const;
  [[nodiscard]] double matrix_seconds() const;

  Workload workload_;
  Machine machine_;
  int stages_, replicas_;
  std::int64_t group_, groups_, in_flight_;
  std::int64_t rows_;  // of a group
  // Typical token counts of a group.
  struct Tokens {
    std::int64_t steps = 0;          // from the subject's last token on
    std::int64_t whole = 0;          // of whole rows
    std::int64_t prefix_tokens = 0;  // up to the subject's last token, in the contexts that are used
    std::int64_t candidates = 0;     // prefix tokens in all contexts that are tried
  } tokens_;
};

}  // namespace anchorage::coordinator
