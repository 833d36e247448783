#include "worker/editing/values/value_pipeline.hpp"

#include <torch/utils.h>
#include <algorithm>

#include "sharding/edit_groups.hpp"
#include "sharding/stage_turns.hpp"

namespace anchorage::worker {
namespace {

// Takes this stage's turns until all groups are done here.
void take_turns(std::vector<GroupSearch>& searches, const StageNeighbors& neighbors, std::int64_t kept) {
  const std::int64_t slots = sharding::groups_in_flight(std::ssize(searches), neighbors.count());
  sharding::StageTurns turns(neighbors.index(), neighbors.count(), slots);
  std::vector<GroupSearch*> in_slot(static_cast<std::size_t>(slots));  // none: no group is left for it
  std::size_t begun = 0, done = 0;
  while (done < searches.size()) {
    const sharding::Turn turn = turns.next();
    GroupSearch*& search = in_slot[static_cast<std::size_t>(turn.slot)];
    if (turn.direction == sharding::Direction::forward) {
      if (search == nullptr && begun < searches.size()) search = &searches[begun++];
      if (search != nullptr) search->go_forward(neighbors);
    } else if (search != nullptr) {
      search->go_backward(neighbors);
      if (!search->is_done()) continue;
      if (search - searches.data() >= kept) search->release();
      search = nullptr;
      ++done;
    }
  }
  neighbors.deliver();
}

std::vector<torch::Tensor> share(std::vector<GroupSearch>& searches, const Stages& stages, int first_stage,
                                 sharding::Timeout timeout) {
  std::vector<torch::Tensor> own;
  std::vector<std::int64_t> edits;
  for (const GroupSearch& search : searches) {
    if (stages.index() == first_stage) own.push_back(search.result());
    edits.push_back(search.result_shape().front());
  }
  if (stages.count() == 1) return own;
  auto shape = searches.front().result_shape();
  shape.front() = 0;
  for (const std::int64_t of_group : edits) shape.front() += of_group;
  const auto all = stages.broadcast(own.empty() ? torch::Tensor() : at::cat(own), first_stage, shape, torch::kFloat,
                                    "broadcast values", timeout);
  return all.split_with_sizes(edits);
}

}  // namespace

std::vector<torch::Tensor> run_searches(std::vector<GroupSearch>& searches, const Stages& stages, int first_stage,
                                        std::int64_t evaluations, std::int64_t kept) {
  const torch::NoGradGuard no_gradients;
  if (stages.count() > 1) {
    const auto activity = stages.activity("pass");
    for (GroupSearch& search : searches) search.begin();
    for (GroupSearch& search : searches) search.arrive();
  }
  if (stages.index() >= first_stage) {
    take_turns(searches, {stages, first_stage}, kept);
  } else {
    for (std::size_t i = static_cast<std::size_t>(kept); i < searches.size(); ++i) searches[i].release();
  }
  return share(searches, stages, first_stage, sharding::Timeout::steps(evaluations * std::ssize(searches)));
}

}  // namespace anchorage::worker
