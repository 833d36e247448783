// Finds what fits: which layers each stage holds and how many slabs of the least squares each rank, within a
// memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/workload.hpp"
#include "sharding/stage_layers.hpp"
#include "sharding/topology.hpp"

namespace anchorage::coordinator {

struct Arrangement {
  std::vector<sharding::StageLayers> stages;
  std::vector<std::int64_t> slabs;  // that each rank holds at most
};

// Returns the cut that makes the slowest stage fastest, of those that leave room for the slabs in the world: even
// shares of them where that costs no time, otherwise wherever memory is left. Returns nothing where none fits.
[[nodiscard]] std::optional<Arrangement> arrange(const Workload& workload, const Machine& machine,
                                                 const sharding::Topology& topology, double memory_bytes);

// Returns whether there is one, which takes far less time to find out.
[[nodiscard]] bool can_arrange(const Workload& workload, const Machine& machine, const sharding::Topology& topology,
                               double memory_bytes);

}  // namespace anchorage::coordinator
