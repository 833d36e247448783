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

std::vector<FoundValues> share(std::vector<GroupSearch>& searches, const Stages& stages, int first_stage,
                               sharding::Timeout timeout) {
  const int last_stage = stages.count() - 1;
  const bool have_losses = searches.front().has_losses();
  std::vector<torch::Tensor> values, losses;
  std::vector<std::int64_t> edits;
  auto shape = searches.front().values_shape();
  shape.front() = 0;
  for (const GroupSearch& search : searches) {
    if (stages.index() == first_stage) values.push_back(search.values());
    if (stages.index() == last_stage && have_losses) losses.push_back(search.losses());
    edits.push_back(search.values_shape().front());
    shape.front() += edits.back();
  }
  const auto shared = [&](const std::vector<torch::Tensor>& own, int root, const std::vector<std::int64_t>& of,
                          std::string_view operation) {
    return stages
        .broadcast(own.empty() ? torch::Tensor() : at::cat(own), root, of, torch::kFloat, operation, timeout)
        .split_with_sizes(edits);
  };
  if (stages.count() > 1) {
    values = shared(values, first_stage, shape, "broadcast values");
    if (have_losses) losses = shared(losses, last_stage, {shape.front(), 2}, "broadcast losses of values");
  }
  losses.resize(searches.size());  // undefined, where there are none
  std::vector<FoundValues> found;
  for (std::size_t i = 0; i < searches.size(); ++i) found.push_back({.values = values[i], .losses = losses[i]});
  return found;
}

}  // namespace

std::vector<FoundValues> run_searches(std::vector<GroupSearch>& searches, const Stages& stages, int first_stage,
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
