#include "coordinator/arrangement.hpp"

#include <cmath>

#include "coordinator/rank_memory.hpp"
#include "coordinator/stage_costs.hpp"
#include "sharding/layer_partition.hpp"
#include "sharding/slabs.hpp"

namespace anchorage::coordinator {
namespace {

using sharding::LayerCut;
using sharding::Range;
using sharding::StageLayers;

// Seconds are less accurate than this; memory decides between cuts that differ by less.
constexpr double slack = 0.025;

class Arranger {
 public:
  Arranger(const Workload& workload, const Machine& machine, const sharding::Topology& topology)
      : workload_(workload),
        topology_(topology),
        costs_(workload, machine),
        memory_(workload, machine, topology.stages(), topology.replicas()) {}

  std::optional<LayerCut> cut(std::int64_t bytes) const {
    return sharding::layer_partition(workload_.model.layers, workload_.lower_layers(), topology_.stages(),
                                     layer_costs(), bytes, slack);
  }

  bool can_cut(std::int64_t bytes) const {
    return sharding::layers_fit(workload_.model.layers, workload_.lower_layers(), topology_.stages(), layer_costs(),
                                bytes);
  }

  std::int64_t slabs() const {
    return workload_.edited_layers() == 0
               ? 0
               : workload_.edited_layers() * std::ssize(sharding::slab_rows(workload_.model.d_ff));
  }

  // Returns the memory that remains beside every rank's even share of the slabs.
  std::int64_t beside_even_shares(std::int64_t bytes) const {
    return bytes - (slabs() + topology_.size() - 1) / topology_.size() * memory_.slab_bytes();
  }

  std::optional<Arrangement> with_slabs(const LayerCut& cut, std::int64_t bytes) const {
    Arrangement found{.stages = cut.stages, .slabs = std::vector<std::int64_t>(topology_size(), 0)};
    if (slabs() == 0) return found;
    std::vector<std::int64_t> room_of_stage;
    for (int stage = 0; stage < topology_.stages(); ++stage) {
      const std::int64_t rest =
          bytes - memory_.bytes(stage, cut.stages[static_cast<std::size_t>(stage)], 0).total();
      room_of_stage.push_back(rest / memory_.slab_bytes());
    }
    std::vector<std::int64_t> room;
    for (int rank = 0; rank < topology_.size(); ++rank)
      room.push_back(room_of_stage[static_cast<std::size_t>(topology_.place_of(rank).stage)]);
    auto capacities = sharding::slab_capacities(slabs(), room);
    if (!capacities) return std::nullopt;
    found.slabs = std::move(*capacities);
    return found;
  }

 private:
  sharding::LayerCosts layer_costs() const {
    const auto work = [](double seconds) { return std::llround(1e9 * seconds); };
    return {.lower =
                [this, work](Range layers) {
                  return sharding::StageCost{.bytes = weight_bytes_of(workload_, StageLayers({layers})),
                                             .work = work(costs_.lower_seconds(layers.size()))};
                },
            .upper =
                [this, work](int stage, Range range) {
                  const StageLayers layers({range});
                  return sharding::StageCost{.bytes = memory_.bytes(stage, layers, 0).total(),
                                             .work = work(costs_.upper_seconds(layers))};
                }};
  }

  std::size_t topology_size() const { return static_cast<std::size_t>(topology_.size()); }

  const Workload& workload_;
  sharding::Topology topology_;
  StageCosts costs_;
  RankMemory memory_;
};

bool may_fit(const Workload& workload, const sharding::Topology& topology, double memory_bytes) {
  const auto weights = static_cast<double>(weight_bytes_of(workload, StageLayers(0, workload.model.layers)));
  return weights / topology.stages() <= memory_bytes;
}

}  // namespace

std::optional<Arrangement> arrange(const Workload& workload, const Machine& machine,
                                   const sharding::Topology& topology, double memory_bytes) {
  if (!may_fit(workload, topology, memory_bytes)) return std::nullopt;
  const std::int64_t bytes = std::llround(memory_bytes);
  const Arranger arranger(workload, machine, topology);
  const auto fastest = arranger.cut(bytes);
  if (!fastest) return std::nullopt;
  const std::int64_t less = arranger.beside_even_shares(bytes);
  const auto even = fastest->bytes <= less ? fastest : arranger.cut(less);
  if (even && static_cast<double>(even->work) <= (1 + slack) * static_cast<double>(fastest->work))
    return arranger.with_slabs(*even, bytes);
  if (auto found = arranger.with_slabs(*fastest, bytes)) return found;
  return even ? arranger.with_slabs(*even, bytes) : std::nullopt;
}

bool can_arrange(const Workload& workload, const Machine& machine, const sharding::Topology& topology,
                 double memory_bytes) {
  if (!may_fit(workload, topology, memory_bytes)) return false;
  const std::int64_t bytes = std::llround(memory_bytes);
  const Arranger arranger(workload, machine, topology);
  if (arranger.can_cut(arranger.beside_even_shares(bytes))) return true;
  return arranger.can_cut(bytes) && arrange(workload, machine, topology, memory_bytes).has_value();
}

}  // namespace anchorage::coordinator
