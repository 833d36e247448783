#include "sharding/edit_groups.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

struct Case {
  std::int64_t edits;
  std::int64_t group_size;
  int replicas;
};

template <typename Body>
void in_all_small_batches(Body body) {
  for (std::int64_t edits = 0; edits <= 40; ++edits) {
    for (std::int64_t group_size = 1; group_size <= 9; ++group_size) {
      for (int replicas = 1; replicas <= 9; ++replicas) {
        SCOPED_TRACE(testing::Message() << edits << " edits in groups of " << group_size << " over " << replicas);
        body(Case{edits, group_size, replicas}, EditGroups(edits, group_size, replicas));
      }
    }
  }
}

TEST(EditGroups, GroupsPartTheBatchInOrderAndOnlyTheLastIsShort) {
  in_all_small_batches([](const Case& batch, const EditGroups& groups) {
    std::int64_t next = 0;
    for (std::int64_t group = 0; group < groups.count(); ++group) {
      const Range edits = groups.edits_of_group(group);
      EXPECT_EQ(edits.begin, next);
      EXPECT_GT(edits.size(), 0);
      const bool last = group + 1 == groups.count();
      EXPECT_TRUE(last ? edits.size() <= batch.group_size : edits.size() == batch.group_size);
      next = edits.end;
    }
    EXPECT_EQ(next, batch.edits);
  });
}

TEST(EditGroups, GroupsDoNotDependOnTheNumberOfReplicas) {
  in_all_small_batches([](const Case& batch, const EditGroups& groups) {
    const EditGroups alone(batch.edits, batch.group_size, 1);
    ASSERT_EQ(groups.count(), alone.count());
    for (std::int64_t group = 0; group < groups.count(); ++group) {
      EXPECT_EQ(groups.edits_of_group(group), alone.edits_of_group(group));
    }
  });
}

TEST(EditGroups, ReplicasInTheirOrderGiveTheEditsInTheirOrder) {
  in_all_small_batches([](const Case& batch, const EditGroups& groups) {
    std::int64_t next_group = 0;
    std::int64_t next_edit = 0;
    for (int replica = 0; replica < batch.replicas; ++replica) {
      const Range mine = groups.groups_of_replica(replica);
      EXPECT_EQ(mine.begin, next_group);
      next_group = mine.end;
      for (std::int64_t group = mine.begin; group < mine.end; ++group) {
        EXPECT_EQ(groups.edits_of_group(group).begin, next_edit);
        next_edit = groups.edits_of_group(group).end;
      }
    }
    EXPECT_EQ(next_group, groups.count());
    EXPECT_EQ(next_edit, batch.edits);
  });
}

TEST(EditGroups, NoReplicaHasMoreThanOneGroupMoreThanAnother) {
  in_all_small_batches([](const Case& batch, const EditGroups& groups) {
    std::int64_t least = groups.count();
    std::int64_t most = 0;
    for (int replica = 0; replica < batch.replicas; ++replica) {
      const std::int64_t own = groups.groups_of_replica(replica).size();
      EXPECT_GE(own, most) << "later replicas have no fewer";
      least = std::min(least, own);
      most = std::max(most, own);
    }
    EXPECT_LE(most - least, 1);
  });
}

TEST(EditGroups, TheDefaultFollowsFromContextsAndTheKindOfMachineAndWeights) {
  const StepArithmetic single{.on_gpu = false, .width = 576, .weight_bytes = 4},
      half{.on_gpu = false, .width = 576, .weight_bytes = 2};
  EXPECT_EQ(edits_per_group(0, 3, single), 8);
  EXPECT_EQ(edits_per_group(0, 3, half), 16);
  EXPECT_EQ(edits_per_group(0, 6, half), 9);
  EXPECT_EQ(edits_per_group(0, 100, single), 1);
  EXPECT_EQ(edits_per_group(5, 3, half), 5) << "asked for";

  // On a GPU the fewer the wider the model, whatever its weights.
  const auto on_gpu = [](std::int64_t width, std::int64_t bytes) {
    return edits_per_group(0, 6, {.on_gpu = true, .width = width, .weight_bytes = bytes});
  };
  EXPECT_EQ(on_gpu(5120, 2), 9);
  EXPECT_EQ(on_gpu(5120, 4), 9);
  EXPECT_EQ(on_gpu(576, 2), 128);
}

TEST(EditGroups, WhatIsOutsideTheBatchIsAnInternalError) {
  EXPECT_THROW(EditGroups(4, 0, 1), io::InternalError);
  EXPECT_THROW(EditGroups(4, 1, 0), io::InternalError);
  EXPECT_THROW(EditGroups(-1, 1, 1), io::InternalError);
  const EditGroups groups(10, 4, 2);
  EXPECT_THROW((void)groups.edits_of_group(3), io::InternalError);
  EXPECT_THROW((void)groups.groups_of_replica(2), io::InternalError);
}

TEST(GroupsInFlight, OneStageTakesOneGroupAtATime) {
  EXPECT_EQ(groups_in_flight(0, 1), 0);
  EXPECT_EQ(groups_in_flight(7, 1), 1);
}

TEST(GroupsInFlight, KeepStagesAtWorkInEvenWindows) {
  for (int stages = 2; stages <= 16; ++stages) {
    for (std::int64_t groups = 0; groups <= 200; ++groups) {
      const std::int64_t slots = groups_in_flight(groups, stages);
      EXPECT_LE(slots, groups);
      EXPECT_LT(slots, 3 * stages);
      EXPECT_GE(slots, std::min<std::int64_t>(groups, stages));
      if (groups < 3 * stages) {
        EXPECT_EQ(slots, groups);
      }
      if (groups == 0) continue;
      const std::int64_t in_last = (groups - 1) % slots + 1, windows = (groups + slots - 1) / slots;
      EXPECT_GT(in_last, slots - windows) << groups << " groups, " << stages << " stages";
    }
  }
}

}  // namespace
}  // namespace anchorage::sharding
