// Cuts the least squares of the edited layers into slabs of rows, and deals these to all ranks of the world.
//
// A layer's inverse P [f, f] is cut by its width alone, so a slab is computed in the same way wherever it lies and
// the results do not depend on the number of ranks. Pure functions of numbers, the same on every rank.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sharding/range.hpp"

namespace anchorage::sharding {

inline constexpr std::int64_t most_slab_rows = 2048;

// Returns the rows of the slabs of a layer of `width` rows: as few as have at most `most_rows` each, of sizes that
// differ by at most one.
[[nodiscard]] std::vector<Range> slab_rows(std::int64_t width, std::int64_t most_rows = most_slab_rows);

struct Slab {
  std::size_t layer = 0;  // place among the edited layers
  Range rows;

  bool operator==(const Slab&) const = default;
};

// Returns the slabs of `layers` edited layers, by layer and then by row.
[[nodiscard]] std::vector<Slab> slabs_of(std::size_t layers, std::int64_t width,
                                         std::int64_t most_rows = most_slab_rows);

// Returns how many of `slabs` each rank holds at most, given how many fit into its memory: as even as that allows.
// Returns nothing where they do not fit.
[[nodiscard]] std::optional<std::vector<std::int64_t>> slab_capacities(std::int64_t slabs,
                                                                       std::span<const std::int64_t> room);

// Returns the rank that owns each slab, given the slabs' costs (>= 0, any unit) and how many each rank holds at
// most.
//
// Balances the load: slabs, from the most expensive to the cheapest, each go to the rank with the least load so far
// that has a place left (R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969). Ties go to the rank
// with fewer slabs, then to the lower one. Throws InternalError where the places do not suffice.
[[nodiscard]] std::vector<int> deal_slabs(std::span<const std::int64_t> costs,
                                          std::span<const std::int64_t> capacities);

// Returns the owners after costs have changed: those in `owner_of`, unless dealing anew takes more than the share
// `tolerance` off the fullest rank's load, since moving a slab moves its state. Where dealing leaves a choice, a
// slab stays with its owner.
[[nodiscard]] std::vector<int> redeal_slabs(std::span<const std::int64_t> costs,
                                            std::span<const std::int64_t> capacities, std::span<const int> owner_of,
                                            double tolerance = 0.1);

// A slab that changes its owner.
struct SlabMove {
  std::size_t slab = 0;
  int from = 0, to = 0;

  bool operator==(const SlabMove&) const = default;
};

// Returns the moves from one dealing to another, in an order in which a rank seldom holds more slabs than its
// places: one more where slabs change places in a circle.
[[nodiscard]] std::vector<SlabMove> slab_moves(std::span<const int> from, std::span<const int> to,
                                               std::span<const std::int64_t> capacities);

}  // namespace anchorage::sharding
