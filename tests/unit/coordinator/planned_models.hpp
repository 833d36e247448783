// Models whose sizes are published, and requests to plan them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "coordinator/planner.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::coordinator {

inline io::ModelConfig llama(std::int64_t layers, std::int64_t d_model, std::int64_t d_ff, std::int64_t heads,
                             std::int64_t kv_heads, std::int64_t vocabulary, bool tied) {
  io::ModelConfig model;
  model.layers = layers;
  model.d_model = d_model;
  model.d_ff = d_ff;
  model.heads = heads;
  model.kv_heads = kv_heads;
  model.head_dim = model.rotary_dim = d_model / heads;
  model.vocabulary = vocabulary;
  model.max_positions = 4096;
  model.tied_head = tied;
  model.qkv_bias = model.attention_output_bias = model.mlp_bias = false;
  return model;
}

inline io::ModelConfig llama2_13b() {
  return llama(40, 5120, 13824, 40, 40, 32000, false);
}
inline io::ModelConfig llama2_70b() {
  return llama(80, 8192, 28672, 64, 8, 32000, false);
}
inline io::ModelConfig smollm2_135m() {
  return llama(30, 576, 1536, 9, 3, 49152, true);
}

inline io::ModelConfig gpt2_xl() {
  auto model = llama(48, 1600, 6400, 25, 25, 50257, true);
  model.family = io::Family::gpt2;
  model.max_positions = 1024;
  model.qkv_bias = model.attention_output_bias = model.mlp_bias = true;
  return model;
}

inline PlanRequest request(const io::ModelConfig& model, std::vector<int> layers, int ranks, double gigabytes) {
  PlanRequest request;
  request.workload.model = model;
  request.workload.hparams.layers = std::move(layers);
  request.workload.batch = 64;
  request.machine.memory_bytes = 1e9 * gigabytes;
  request.ranks = ranks;
  return request;
}

// Returns the message of a plan that is refused.
inline std::string refusal(const PlanRequest& wanted) {
  return tests::message_of([&] { (void)plan_ranks(wanted); });
}

}  // namespace anchorage::coordinator
