#include "sharding/stage_turns.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

std::vector<Turn> first_turns(int stage, int stages, std::int64_t slots, int count) {
  StageTurns turns(stage, stages, slots);
  std::vector<Turn> first;
  while (std::ssize(first) < count) first.push_back(turns.next());
  return first;
}

template <typename Body>
void in_all_small_pipelines(Body body) {
  for (int stages = 1; stages <= 6; ++stages) {
    for (std::int64_t slots = 1; slots <= 13; ++slots) body(stages, slots);
  }
}

TEST(StageTurns, TheLastStageGoesBackwardAsSoonAsItHasGoneForward) {
  in_all_small_pipelines([](int stages, std::int64_t slots) {
    const auto turns = first_turns(stages - 1, stages, slots, 40);
    for (std::size_t i = 0; i < turns.size(); i += 2) {
      EXPECT_EQ(turns[i].direction, Direction::forward);
      EXPECT_EQ(turns[i + 1], (Turn{Direction::backward, turns[i].slot, turns[i].evaluation}));
    }
  });
}

TEST(StageTurns, SlotsComeInTheSameCyclicOrderOnEveryStage) {
  in_all_small_pipelines([](int stages, std::int64_t slots) {
    for (int stage = 0; stage < stages; ++stage) {
      std::map<Direction, std::int64_t> done;
      for (const Turn& turn : first_turns(stage, stages, slots, 60)) {
        std::int64_t& position = done[turn.direction];
        EXPECT_EQ(turn.slot, position % slots);
        EXPECT_EQ(turn.evaluation, position / slots);
        ++position;
      }
    }
  });
}

// Whoever waits, waits for a turn that comes without waiting for him: all turns of some evaluations are taken.
TEST(StageTurns, StagesNeverWaitForEachOtherInACircle) {
  in_all_small_pipelines([](int stages, std::int64_t slots) {
    constexpr std::int64_t evaluations = 5;
    std::vector<StageTurns> turns;
    std::vector<Turn> next;
    for (int stage = 0; stage < stages; ++stage) {
      turns.emplace_back(stage, stages, slots);
      next.push_back(turns.back().next());
    }
    std::set<std::tuple<int, Direction, std::int64_t, std::int64_t>> taken;
    const auto was_taken = [&](int stage, Direction direction, std::int64_t slot, std::int64_t evaluation) {
      return evaluation < 0 || taken.contains({stage, direction, slot, evaluation});
    };
    const auto may_take = [&](int stage, const Turn& turn) {
      if (turn.direction == Direction::backward) {
        return stage + 1 == stages ? was_taken(stage, Direction::forward, turn.slot, turn.evaluation)
                                   : was_taken(stage + 1, Direction::backward, turn.slot, turn.evaluation);
      }
      return stage == 0 ? was_taken(0, Direction::backward, turn.slot, turn.evaluation - 1)
                        : was_taken(stage - 1, Direction::forward, turn.slot, turn.evaluation);
    };
    for (bool progress = true; progress;) {
      progress = false;
      for (int stage = 0; stage < stages; ++stage) {
        Turn& turn = next[static_cast<std::size_t>(stage)];
        if (turn.evaluation >= evaluations || !may_take(stage, turn)) continue;
        taken.insert({stage, turn.direction, turn.slot, turn.evaluation});
        turn = turns[static_cast<std::size_t>(stage)].next();
        progress = true;
      }
    }
    for (int stage = 0; stage < stages; ++stage) {
      for (std::int64_t slot = 0; slot < slots; ++slot) {
        EXPECT_TRUE(was_taken(stage, Direction::backward, slot, evaluations - 2))
            << "stage " << stage << " of " << stages << ", slot " << slot << " of " << slots;
      }
    }
  });
}

TEST(StageTurns, AStageHoldsNoMoreGroupsThanItIsSaidTo) {
  in_all_small_pipelines([](int stages, std::int64_t slots) {
    for (int stage = 0; stage < stages; ++stage) {
      std::int64_t held = 0, most = 0;
      for (const Turn& turn : first_turns(stage, stages, slots, 100)) {
        held += turn.direction == Direction::forward ? 1 : -1;
        most = std::max(most, held);
      }
      EXPECT_EQ(most, groups_held(stage, stages, slots)) << stage << " of " << stages << ", " << slots << " slots";
    }
  });
}

TEST(StageTurns, StagesAndSlotsThatAreNotThereAreInternalErrors) {
  EXPECT_THROW(StageTurns(2, 2, 1), io::InternalError);
  EXPECT_THROW(StageTurns(0, 1, 0), io::InternalError);
}

}  // namespace
}  // namespace anchorage::sharding
