// Imports second moments in the form of ROME's layer_stats: an .npz file per layer, with `mom2.mom2` [f, f],
// the sum of k k^T over all tokens, and `mom2.count`, the number of tokens.
#pragma once

#include <cstdint>
#include <filesystem>

#include "io/statistics/statistics_file.hpp"

namespace anchorage::io {

struct ImportedMoment {
  SecondMoment moment;
  std::int64_t tokens = 0;
};

// Imports one file. It has no fingerprint: the user vouches that it belongs to the model. Throws UserError
// unless the sum is finite, symmetric, over at least one token and [size, size], where `size` is the model's
// d_ff.
ImportedMoment import_rome_statistics(const std::filesystem::path& path, std::int64_t layer, std::int64_t size);

}  // namespace anchorage::io
