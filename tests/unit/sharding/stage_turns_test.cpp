#include "sharding/stage_turns.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

std::vector<Turn> turns_of(int stage, int stages, std::int64_t slots, int count) {
  StageTurns turns(stage, stages, slots);
  std::vector<Turn> all;
  for (int i = 0; i < count; ++i) all.push_back(turns.next());
  return all;
}

TEST(StageTurns, TheFirstOfTwoStagesIsAheadByAllSlotsAndTheLastGoesBackAtOnce) {
  using enum Direction;
  EXPECT_EQ(turns_of(0, 2, 3, 7),
            (std::vector<Turn>{{forward, 0, 0}, {forward, 1, 0}, {forward, 2, 0}, {backward, 0, 0}, {forward, 0, 1},
                               {backward, 1, 0}, {forward, 1, 1}}));
  EXPECT_EQ(turns_of(1, 2, 3, 4),
            (std::vector<Turn>{{forward, 0, 0}, {backward, 0, 0}, {forward, 1, 0}, {backward, 1, 0}}));
}

// Each stage waits for its neighbors' messages alone; whatever the order of their arrival, all get through, and a
// slot's evaluations follow each other.
TEST(StageTurns, StagesNeverWaitForEachOtherInACircle) {
  for (int stages = 1; stages <= 6; ++stages) {
    for (std::int64_t slots = 1; slots <= 9; ++slots) {
      constexpr std::int64_t rounds = 4;
      std::vector<StageTurns> order;
      std::vector<Turn> next;
      const std::vector<std::int64_t> none(static_cast<std::size_t>(slots), 0);
      std::vector<std::vector<std::int64_t>> forward(static_cast<std::size_t>(stages), none), backward = forward;
      for (int stage = 0; stage < stages; ++stage) {
        order.emplace_back(stage, stages, slots);
        next.push_back(order.back().next());
      }
      bool progress = true;
      while (progress) {
        progress = false;
        for (std::size_t stage = 0; stage < order.size(); ++stage) {
          const Turn turn = next[stage];
          const auto slot = static_cast<std::size_t>(turn.slot);
          if (turn.evaluation == rounds) continue;
          auto& done = turn.direction == Direction::forward ? forward : backward;
          EXPECT_EQ(done[stage][slot], turn.evaluation);
          if (turn.direction == Direction::forward) {
            EXPECT_EQ(backward[stage][slot], turn.evaluation) << "the one before has not ended";
            if (stage > 0 && forward[stage - 1][slot] <= turn.evaluation) continue;
          } else {
            EXPECT_EQ(forward[stage][slot], turn.evaluation + 1);
            if (stage + 1 < order.size() && backward[stage + 1][slot] <= turn.evaluation) continue;
          }
          ++done[stage][slot];
          next[stage] = order[stage].next();
          progress = true;
        }
      }
      for (const auto& of_stage : backward)
        EXPECT_EQ(of_stage, std::vector<std::int64_t>(static_cast<std::size_t>(slots), rounds))
            << stages << " stages, " << slots << " slots";
    }
  }
}

TEST(StageTurns, AStageHoldsAsManyGroupsAsItIsAhead) {
  for (int stages = 1; stages <= 6; ++stages) {
    for (std::int64_t slots = 1; slots <= 9; ++slots) {
      for (int stage = 0; stage < stages; ++stage) {
        std::int64_t held = 0, most = 0;
        for (const Turn& turn : turns_of(stage, stages, slots, 60)) {
          held += turn.direction == Direction::forward ? 1 : -1;
          most = std::max(most, held);
        }
        EXPECT_EQ(most, groups_held(stage, stages, slots));
        EXPECT_LE(most, slots);
      }
    }
  }
}

TEST(StageTurns, AStageThatIsNotThereIsAnInternalError) {
  EXPECT_THROW(StageTurns(2, 2, 1), io::InternalError);
  EXPECT_THROW(StageTurns(0, 1, 0), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
