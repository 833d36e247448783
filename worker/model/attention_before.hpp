// What the suffixes of rows see of what stands before them.
#pragma once

#include <cstdint>
#include <span>

#include "worker/model/forward.hpp"

namespace anchorage::worker {

// Returns a block's cache for suffixes that begin at `first_position[r]` of each row, out of its pass over whole
// rows; prefixes are padded with zeros to the longest.
AttentionCache attention_before(const BlockOutput& output, const TokenLayout& whole,
                                std::span<const std::int64_t> first_position);

}  // namespace anchorage::worker
