// Generates continuations of prompts, token by token, with cached attention.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "worker/model/token_layout.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

struct GenerateOptions {
  std::int64_t max_new_tokens = 32;
  double temperature = 0;                   // 0: always the most probable token
  double top_p = 1;                         // sample among the fewest tokens that carry this probability
  std::int64_t top_k = 0;                   // and among at most this many; 0: all
  std::uint64_t seed = 0;                   // row r draws from its own generator, seeded by (seed, r)
  std::vector<std::int32_t> stop_ids = {};  // a row ends before one of these
  // A row also ends where this says true of its new tokens, the same on all stages; empty: it does not.
  std::function<bool(std::span<const std::int32_t> produced)> is_complete = {};
};

// Returns the ids of the end of text, of the model's config.
std::vector<std::int32_t> end_of_text_ids(const io::ModelConfig& config);

// Returns the new tokens of each row, without the prompts, which must have at least one token and at most as
// many as the model's positions. All rows end when the longest one takes the last position. The same prompt
// in the same row gives the same tokens for the same seed. Collective over the model's stages.
std::vector<TokenIds> generate(const Transformer& model, std::span<const TokenIds> prompts,
                               const GenerateOptions& options);

}  // namespace anchorage::worker
