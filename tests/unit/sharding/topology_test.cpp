#include "sharding/topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

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

TEST(Topology, StagesPartTheRanksAndSoDoReplicas) {
  in_all_small_worlds([](const Topology& world) {
    std::multiset<int> of_stages;
    std::multiset<int> of_replicas;
    for (int stage = 0; stage < world.stages(); ++stage) {
      for (const int rank : world.ranks_of_stage(stage)) {
        EXPECT_EQ(world.place_of(rank).stage, stage);
        of_stages.insert(rank);
      }
    }
    for (int replica = 0; replica < world.replicas(); ++replica) {
      for (const int rank : world.ranks_of_replica(replica)) {
        EXPECT_EQ(world.place_of(rank).replica, replica);
        of_replicas.insert(rank);
      }
    }
    std::multiset<int> all;
    for (int rank = 0; rank < world.size(); ++rank) all.insert(rank);
    EXPECT_EQ(of_stages, all);
    EXPECT_EQ(of_replicas, all);
  });
}

TEST(Topology, NeighbouringStagesOfAReplicaAreNeighbouringRanks) {
  const Topology world(3, 2);
  EXPECT_THAT(world.ranks_of_replica(1), testing::ElementsAre(3, 4, 5));
  EXPECT_THAT(world.ranks_of_stage(1), testing::ElementsAre(1, 4));
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
