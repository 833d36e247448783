#include "sharding/slabs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "io/error.hpp"

namespace anchorage::sharding {
namespace {

using testing::ElementsAre;

std::vector<std::int64_t> held_by(const std::vector<int>& owner_of, std::size_t ranks) {
  std::vector<std::int64_t> held(ranks);
  for (const int owner : owner_of) ++held[static_cast<std::size_t>(owner)];
  return held;
}

TEST(Slabs, RowsAreCutByTheWidthAloneIntoSizesThatDifferByOne) {
  for (const std::int64_t width : {1, 1536, 2048, 2049, 8192, 13824, 28672, 53248}) {
    const auto rows = slab_rows(width);
    EXPECT_EQ(std::ssize(rows), (width + 2047) / 2048) << width;
    EXPECT_EQ(rows.front().begin, 0);
    EXPECT_EQ(rows.back().end, width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].begin, i == 0 ? 0 : rows[i - 1].end);
      EXPECT_LE(rows[i].size(), most_slab_rows);
      EXPECT_GE(rows[i].size(), width / std::ssize(rows));
    }
  }
  EXPECT_EQ(slabs_of(3, 5000).size(), 9U);
  EXPECT_EQ(slabs_of(3, 5000)[4], (Slab{.layer = 1, .rows = slab_rows(5000)[1]}));
}

TEST(Slabs, CapacitiesAreAsEvenAsTheMemoryOfTheRanksAllows) {
  EXPECT_THAT(*slab_capacities(7, std::vector<std::int64_t>{9, 9, 9}), ElementsAre(3, 3, 3));
  EXPECT_THAT(*slab_capacities(7, std::vector<std::int64_t>{1, 9, 9}), ElementsAre(1, 3, 3));
  EXPECT_THAT(*slab_capacities(7, std::vector<std::int64_t>{0, 2, 5}), ElementsAre(0, 2, 5));
  EXPECT_THAT(*slab_capacities(7, std::vector<std::int64_t>{-3, 0, 7}), ElementsAre(0, 0, 7));
  EXPECT_THAT(*slab_capacities(0, std::vector<std::int64_t>{0, 0}), ElementsAre(0, 0));
  EXPECT_FALSE(slab_capacities(8, std::vector<std::int64_t>{0, 2, 5}).has_value());
}

// Over all small worlds, loads and places: nobody holds more than fits, and equal loads are spread evenly.
TEST(Slabs, EverySlabHasAnOwnerWithAPlaceForIt) {
  for (std::int64_t ranks = 1; ranks <= 5; ++ranks) {
    for (std::int64_t slabs = 1; slabs <= 12; ++slabs) {
      for (int seed = 0; seed < 10; ++seed) {
        std::vector<std::int64_t> room, costs;
        for (std::int64_t rank = 0; rank < ranks; ++rank) room.push_back((seed * 3 + rank * 5) % 7 + slabs / ranks);
        for (std::int64_t slab = 0; slab < slabs; ++slab) costs.push_back((seed * 7 + slab * slab) % 5);
        const auto capacities = slab_capacities(slabs, room);
        if (!capacities) continue;
        for (const auto& load : {costs, std::vector<std::int64_t>(costs.size(), 3)}) {
          const auto held = held_by(deal_slabs(load, *capacities), capacities->size());
          for (std::size_t rank = 0; rank < held.size(); ++rank) EXPECT_LE(held[rank], (*capacities)[rank]);
          EXPECT_EQ(std::accumulate(held.begin(), held.end(), std::int64_t{0}), slabs);
        }
      }
    }
  }
  EXPECT_THAT(deal_slabs(std::vector<std::int64_t>(5, 1), std::vector<std::int64_t>{3, 3}),
              ElementsAre(0, 1, 0, 1, 0));
  EXPECT_THROW(deal_slabs(std::vector<std::int64_t>(3, 1), std::vector<std::int64_t>{1, 1}), io::InternalError);
}

TEST(Slabs, AreDealtAnewOnlyWhereThatTakesATenthOffTheFullestRank) {
  const std::vector<std::int64_t> places = {2, 2};
  const std::vector<int> present = {0, 0, 1, 1};
  EXPECT_EQ(redeal_slabs(std::vector<std::int64_t>{10, 10, 10, 10}, places, present), present);
  EXPECT_EQ(redeal_slabs(std::vector<std::int64_t>{11, 10, 10, 10}, places, present), present);
  const auto dealt = redeal_slabs(std::vector<std::int64_t>{30, 20, 5, 5}, places, present);
  EXPECT_NE(dealt[0], dealt[1]);
  EXPECT_EQ(dealt[0], 0) << "where dealing leaves a choice, a slab stays";
  EXPECT_THAT(held_by(dealt, 2), ElementsAre(2, 2));
}

TEST(Slabs, MovesKeepRanksWithinTheirPlacesExceptWhereSlabsChangePlaces) {
  const auto most_over = [](const std::vector<int>& from, const std::vector<int>& to,
                            const std::vector<std::int64_t>& places) {
    auto held = held_by(from, places.size());
    auto owner_of = from;
    std::int64_t most = 0;
    for (const SlabMove& move : slab_moves(from, to, places)) {
      EXPECT_EQ(owner_of[move.slab], move.from);
      owner_of[move.slab] = move.to;
      --held[static_cast<std::size_t>(move.from)];
      const auto receiver = static_cast<std::size_t>(move.to);
      most = std::max(most, ++held[receiver] - places[receiver]);
    }
    EXPECT_EQ(owner_of, to);
    return most;
  };
  // In the order of slabs rank 1 would hold three for a while.
  EXPECT_EQ(most_over({0, 1, 1, 2}, {1, 2, 1, 0}, {2, 2, 2}), 0);
  EXPECT_EQ(most_over({0, 0, 1, 1}, {1, 0, 0, 1}, {2, 2}), 1) << "two that change places";
  EXPECT_TRUE(slab_moves(std::vector<int>{0, 1}, std::vector<int>{0, 1}, std::vector<std::int64_t>{1, 1}).empty());
}

}  // namespace
}  // namespace anchorage::sharding
