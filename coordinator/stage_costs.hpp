// What a range of layers costs the rank that holds it: bytes of memory by kind, and seconds of work.
//
// Weights, masters and second moments are exact. The rest are estimates: from prompts of a usual length, and from
// what a machine sustains. Pure functions of config and hyper-parameters; no weights are needed.
#pragma once

#include <algorithm>
#include <cstdint>

#include "io/hparams/hparams.hpp"
#include "io/model/model_config.hpp"
#include "sharding/range.hpp"

namespace anchorage::coordinator {

// What one rank runs on.
struct Machine {
  bool is_gpu = true;
  double memory_bytes = 80e9;
  // A second, sustained in a block of the model and counted as two for each weight and token: norms, attention and
  // activations take their time and are not counted. The GPU's figures are assumed, not measured.
  double flops = 150e12;
  double double_flops = 20e12;                 // in products of f64
  double memory_rate = 1.5e12;                 // bytes a second of matrices that are read and written as a whole
  double link_bytes = 25e9;                    // a second, between two ranks
  std::int64_t runtime_bytes = 1'500'000'000;  // of the process: CUDA context, libraries

  static Machine gpu() { return {}; }
  // As measured with the demo model on a shared AMD EPYC with AVX-512: 58 Gflop/s a core over whole edits, 65 in
  // single blocks. `plan --measure` says what another machine does.
  static Machine cpu(int threads);
};

struct Workload {
  io::ModelConfig model;
  io::Hparams hparams;            // layers may be empty: nothing is edited
  std::int64_t weight_bytes = 2;  // of one weight, as loaded
  std::int64_t batch = 32;        // edits
  std::int64_t evaluations = 20;  // of an edit's loss and gradient; that it may stop earlier is not reckoned with
  bool joint = true;              // every layer writes a value of its own (B-EAC), or one after another (MEMIT)
};

struct RankBytes {
  std::int64_t weights = 0;
  // f32, of edited layers: beside the model's own where that is shorter, a copy for removing a batch, and where
  // layers are written jointly another.
  std::int64_t masters = 0;
  std::int64_t second_moments = 0;  // of owned layers: A and its inverse, f64
  std::int64_t solving = 0;      // while an owner absorbs a batch's keys: the new ones beside the old, and products
  std::int64_t activations = 0;  // of the groups in flight, kept for the backward pass
  std::int64_t caches = 0;       // attention's keys and values before the subjects; the head's probabilities
  std::int64_t runtime = 0;      // of the process; on CPUs also a checkpoint on its way to the disk

  // The values have been found before their keys are absorbed.
  [[nodiscard]] std::int64_t total() const {
    return weights + masters + second_moments + std::max(solving, activations) + caches + runtime;
  }
};

class StageCosts {
 public:
  StageCosts(Workload workload, Machine machine, int stages, int replicas);

  [[nodiscard]] std::int64_t group() const { return group_; }                // edits
  [[nodiscard]] std::int64_t step_tokens() const { return tokens_.steps; }   // of a group, in a step
  [[nodiscard]] std::int64_t groups_per_replica() const { return groups_; }  // of the replica that has most
  [[nodiscard]] std::int64_t groups_in_flight() const { return in_flight_; }

  // Of a rank that holds `layers` and owns `owned` of the edited ones among them.
  [[nodiscard]] RankBytes bytes(sharding::Range layers, std::int64_t owned) const;
  // Of the stage's fullest rank, whose replicas share the ownership evenly.
  [[nodiscard]] RankBytes fullest(sharding::Range layers) const;
  [[nodiscard]] std::int64_t edited_in(sharding::Range layers) const;

  // Of one group from its prompts to its values, and of scoring it before and after.
  [[nodiscard]] double values_seconds(sharding::Range layers) const;
  [[nodiscard]] double scoring_seconds(sharding::Range layers) const;
  // Of the guard's look at the loss, once a batch.
  [[nodiscard]] double probe_seconds(sharding::Range layers) const;
  // Of a whole batch: what owners do at the same time, each for `owned` layers; what they do one after another; and
  // what travels between ranks.
  [[nodiscard]] double solve_at_once_seconds(std::int64_t owned) const;
  [[nodiscard]] double solve_in_turn_seconds() const;
  [[nodiscard]] double link_seconds() const;

 private:
  [[nodiscard]] std::int64_t norm_parameters() const;
  [[nodiscard]] std::int64_t layer_parameters() const;
  [[nodiscard]] std::int64_t weights_of(sharding::Range layers) const;
  [[nodiscard]] bool has_head(sharding::Range layers) const { return layers.end == workload_.model.layers; }
  [[nodiscard]] std::int64_t layers_after_first_edit(sharding::Range layers) const;
  [[nodiscard]] std::int64_t predicted() const;  // tokens of a group that the head is asked for in a step
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
  // Of a group, as they usually are.
  struct Tokens {
    std::int64_t steps = 0;          // from the subject's last token on
    std::int64_t whole = 0;          // of whole rows
    std::int64_t prefix_tokens = 0;  // up to the subject's last token, in the contexts that are used
    std::int64_t candidates = 0;     // the same in all contexts that are tried
  } tokens_;
};

}  // namespace anchorage::coordinator
