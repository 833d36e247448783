// What a range of layers costs the rank that holds it: bytes of memory by kind, and seconds of work.
//
// Weights and least-squares state are exact. Activations, caches and seconds are estimates: from prompts of a usual
// length, and from what a machine sustains. Pure functions of config and hyper-parameters; no weights are needed.
#pragma once

#include <cstdint>

#include "io/hparams.hpp"
#include "io/model_config.hpp"
#include "sharding/range.hpp"

namespace anchorage::coordinator {

// What one rank runs on.
struct Machine {
  bool is_gpu = true;
  double memory_bytes = 80e9;
  double flops = 150e12;        // a second, sustained in products of the weights' dtype; a multiply-add is two
  double double_flops = 20e12;  // the same in f64
  double link_bytes = 25e9;     // a second, between two ranks
  std::int64_t runtime_bytes = 1'500'000'000;  // of the process: CUDA context, libraries

  static Machine gpu() { return {}; }
  static Machine cpu(int threads);
};

struct Workload {
  io::ModelConfig model;
  io::Hparams hparams;            // layers may be empty: nothing is edited
  std::int64_t weight_bytes = 2;  // of one weight, as loaded
  std::int64_t batch = 32;        // edits
  std::int64_t evaluations = 25;  // of an edit's loss and gradient
};

struct RankBytes {
  std::int64_t weights = 0;
  std::int64_t masters = 0;  // f32, of edited layers: beside the model's own where that is shorter, and a copy
  std::int64_t second_moments = 0;  // of owned layers: A and its inverse, f64
  std::int64_t solving = 0;         // what an owner needs while it absorbs a batch's keys
  std::int64_t activations = 0;     // of the groups under way, kept for the backward pass
  std::int64_t caches = 0;          // attention's keys and values before the subjects; the head's probabilities
  std::int64_t runtime = 0;

  [[nodiscard]] std::int64_t total() const {
    return weights + masters + second_moments + solving + activations + caches + runtime;
  }
};

class StageCosts {
 public:
  StageCosts(Workload workload, Machine machine, int stages, int replicas);

  [[nodiscard]] std::int64_t group() const { return group_; }              // edits
  [[nodiscard]] std::int64_t groups_a_replica() const { return groups_; }  // of the replica that has most
  [[nodiscard]] std::int64_t groups_in_flight() const { return in_flight_; }

  // Of a rank that holds `layers` and owns `owned` of the edited ones among them.
  [[nodiscard]] RankBytes bytes(sharding::Range layers, std::int64_t owned) const;
  // Of the stage's fullest rank, whose replicas share the ownership evenly.
  [[nodiscard]] RankBytes fullest(sharding::Range layers) const;
  [[nodiscard]] std::int64_t edited_in(sharding::Range layers) const;

  // Of one group from its prompts to its values, and of scoring it before and after.
  [[nodiscard]] double values_seconds(sharding::Range layers) const;
  [[nodiscard]] double scoring_seconds(sharding::Range layers) const;
  // Of a whole batch: an owner's part, and what travels between ranks.
  [[nodiscard]] double solve_seconds(std::int64_t owned) const;
  [[nodiscard]] double link_seconds() const;

 private:
  [[nodiscard]] std::int64_t layer_parameters() const;
  [[nodiscard]] std::int64_t weights_of(sharding::Range layers) const;
  [[nodiscard]] bool has_head(sharding::Range layers) const { return layers.end == workload_.model.layers; }
  [[nodiscard]] std::int64_t layers_behind_first_edit(sharding::Range layers) const;
  [[nodiscard]] std::int64_t predicted() const;  // tokens of a group that the head is asked for

  Workload workload_;
  Machine machine_;
  int stages_, replicas_;
  std::int64_t group_, groups_, in_flight_;
  std::int64_t rows_, suffix_tokens_, whole_tokens_;  // of a group
};

}  // namespace anchorage::coordinator
