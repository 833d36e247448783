// Second moments as ROME's layer_stats publishes them: an .npz file a layer, with `mom2.mom2` [f, f], the sum of k
// k^T over all tokens, and `mom2.count`, the number of tokens.
#pragma once

#include <cstdint>
#include <filesystem>

#include "io/statistics/statistics_file.hpp"

namespace anchorage::io {

struct ImportedMoment {
  SecondMoment moment;
  std::int64_t tokens = 0;
};

// The file bears no fingerprint: whoever imports it vouches for the model. UserError unless it is square, finite,
// symmetric, over at least one token and [size, size], the model's d_ff.
ImportedMoment import_rome_statistics(const std::filesystem::path& path, std::int64_t layer, std::int64_t size);

}  // namespace anchorage::io
