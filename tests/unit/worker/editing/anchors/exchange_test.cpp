// A selection over the edits of several ranks, against the one that a single rank makes of all entries.
#include "worker/editing/anchors/exchange.hpp"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include "sharding/edit_groups.hpp"
#include "tests/support/thread_communicator.hpp"

namespace anchorage::worker {
namespace {

struct Batch {
  torch::Tensor saliency;      // [b, m, d]
  std::vector<float> factors;  // [m * d]
};

Batch random_batch(std::int64_t edits, const SelectionRules& rules) {
  torch::manual_seed(7);
  const auto factors = torch::rand({rules.layers * rules.width});
  return {.saliency = torch::rand({edits, rules.layers, rules.width}).square(),
          .factors = {factors.data_ptr<float>(), factors.data_ptr<float>() + factors.numel()}};
}

// Out of all entries of all edits, [b, m, d].
torch::Tensor whole_selection(const Batch& batch, const SelectionRules& rules) {
  const std::int64_t entries = rules.layers * rules.width;
  std::vector<Candidates> edits;
  for (std::int64_t edit = 0; edit < batch.saliency.size(0); ++edit) {
    const float* first = batch.saliency[edit].data_ptr<float>();
    std::vector<float> scores(first, first + entries);
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] *= batch.factors[i];
    edits.push_back(candidates_of(scores, std::span(first, scores.size()), rules, entries));
  }
  const Selection selection = select_anchors(edits, rules);
  auto anchors = torch::zeros({std::ssize(edits), entries});
  for (std::int64_t edit = 0; edit < std::ssize(edits); ++edit) {
    for (const std::uint32_t entry : selection.anchors[static_cast<std::size_t>(edit)]) anchors[edit][entry] = 1;
  }
  return anchors.view_as(batch.saliency);
}

// Each rank has its consecutive edits, some perhaps none; what each finds, and what went between them.
sharding::Traffic expect_the_whole_selection(const Batch& batch, const SelectionRules& rules, int ranks) {
  const auto expected = whole_selection(batch, rules);
  sharding::Traffic traffic;
  tests::run_thread_world(ranks, [&](sharding::HostCommunicator& world) {
    const auto own = sharding::EditGroups(batch.saliency.size(0), 1, ranks).groups_of_replica(world.rank());
    const auto found =
        select_anchors_over_ranks(batch.saliency.narrow(0, own.begin, own.size()), batch.factors, rules, world);
    EXPECT_TRUE(at::equal(found, expected.narrow(0, own.begin, own.size()))) << "rank " << world.rank();
    if (world.rank() == 0) traffic = world.traffic().at("gather anchor candidates");
  });
  return traffic;
}

TEST(AnchorExchange, RanksSelectWhatOneRankSelectsOfAllEntries) {
  const SelectionRules rules{.layers = 3, .width = 40, .ratio = 0.4, .balance = 1.5, .capacity = 3};
  for (const int ranks : {1, 2, 3, 4, 8}) {
    SCOPED_TRACE(ranks);
    expect_the_whole_selection(random_batch(7, rules), rules, ranks);
  }
}

TEST(AnchorExchange, CandidatesTravelAndNotWholeScores) {
  const SelectionRules rules{.layers = 4, .width = 512, .ratio = 0.02, .balance = 1.5, .capacity = 4};
  const Batch batch = random_batch(16, rules);
  const sharding::Traffic traffic = expect_the_whole_selection(batch, rules, 2);
  EXPECT_EQ(traffic.calls, 1);
  EXPECT_LT(traffic.bytes, static_cast<std::int64_t>(batch.saliency.nbytes()) / 2);
}

// Edits that all want the same entries: those that come last need candidates far down their lists.
TEST(AnchorExchange, WhereTheUsualCandidatesDoNotSufficeMoreAreAskedFor) {
  const SelectionRules rules{.layers = 2, .width = 400, .ratio = 0.02, .balance = 1.5, .capacity = 1};
  Batch batch = random_batch(40, rules);
  batch.saliency = batch.saliency[0].repeat({40, 1, 1}).contiguous();
  EXPECT_GT(expect_the_whole_selection(batch, rules, 2).calls, 1);
}

}  // namespace
}  // namespace anchorage::worker
