#include "sharding/topology.hpp"

#include <fmt/format.h>

#include "io/error.hpp"

namespace anchorage::sharding {

Topology::Topology(int stages, int replicas) : stages_(stages), replicas_(replicas) {
  io::check(stages > 0 && replicas > 0,
            fmt::format("a world has at least 1 stage and 1 replica, got {} x {}", stages, replicas));
}

Place Topology::place_of(int rank) const {
  io::check(rank >= 0 && rank < size(), fmt::format("rank {} in a world of {} x {}", rank, stages_, replicas_));
  return {.stage = rank % stages_, .replica = rank / stages_};
}

int Topology::rank_of(Place place) const {
  io::check(
      place.stage >= 0 && place.stage < stages_ && place.replica >= 0 && place.replica < replicas_,
      fmt::format("stage {} of replica {} in a world of {} x {}", place.stage, place.replica, stages_, replicas_));
  return place.replica * stages_ + place.stage;
}

}  // namespace anchorage::sharding
