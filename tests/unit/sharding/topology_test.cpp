#include "sharding/topology.hpp"

#include <gtest/gtest.h>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

template <typename Body>
void in_all_small_worlds(Body body) {
  for (int stages = 1; stages <= 8; ++stages) {
    for (int replicas = 1; replicas <= 8; ++replicas) body(Topology(stages, replicas));
  }
}

TEST(Topology, RankAndPlaceAreInverse) {
  in_all_small_worlds([](const Topology& world) {
    for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(world.rank_of(world.place_of(rank)), rank);
    for (int stage = 0; stage < world.stages(); ++stage) {
      for (int replica = 0; replica < world.replicas(); ++replica) {
        const Place place{.stage = stage, .replica = replica};
        EXPECT_EQ(world.place_of(world.rank_of(place)), place);
      }
    }
  });
}

TEST(Topology, NeighboringStagesOfAReplicaAreNeighboringRanks) {
  const Topology world(3, 2);
  for (const int stage : {0, 1, 2}) EXPECT_EQ(world.rank_of({.stage = stage, .replica = 1}), 3 + stage);
}

TEST(Topology, WhatIsOutsideTheWorldIsAnInternalError) {
  EXPECT_THROW(Topology(0, 1), io::InternalError);
  EXPECT_THROW(Topology(1, 0), io::InternalError);
  const Topology world(2, 3);
  EXPECT_THROW((void)world.place_of(6), io::InternalError);
  EXPECT_THROW((void)world.rank_of({.stage = 2, .replica = 0}), io::InternalError);
  EXPECT_THROW((void)world.rank_of({.stage = 0, .replica = -1}), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
