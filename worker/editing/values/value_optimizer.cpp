#include "worker/editing/values/value_optimizer.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "worker/editing/values/value_pipeline.hpp"

namespace anchorage::worker {
namespace {

// The constant of the published code, which keeps the weight of an entry without saliency finite.
constexpr double epsilon = 1e-6;

std::function<SearchStart(const PointSearch*)> origin(const InjectedForward& forward) {
  const std::vector<std::int64_t> shape{forward.edits(), forward.injected_layers(), forward.d_model()};
  const auto options = torch::TensorOptions(forward.model().device()).dtype(torch::kFloat);
  return [=](const PointSearch*) {
    return SearchStart{.point = torch::zeros(shape, options), .mask = {}, .l1_weights = {}};
  };
}

SearchPhase locating(const InjectedForward& forward, const io::Hparams& hparams) {
  return {.evaluations = hparams.eac_locate_steps,
          .until_converged = false,
          .anchored = false,
          .start = origin(forward)};
}

SearchStart at_anchors(const LocatedValues& located, const torch::Tensor& anchors, const io::Hparams& hparams) {
  return {.point = located.dense, .mask = anchors, .l1_weights = hparams.eac_l1 / (located.saliency + epsilon)};
}

LocatedValues located_by(const torch::Tensor& dense, const torch::Tensor& mean_gradient) {
  return {.dense = dense, .saliency = (mean_gradient * dense).abs(), .forward = {}};
}

// Returns 1 at the `share` of each edit's entries with the highest saliency, 0 elsewhere; ties go to the
// lower index.
torch::Tensor anchors_of(const torch::Tensor& saliency, double share) {
  const auto flat = saliency.flatten(1);
  const auto count = std::max<std::int64_t>(1, std::llround(share * static_cast<double>(flat.size(1))));
  const auto order = at::argsort(flat, /*stable=*/true, /*dim=*/1, /*descending=*/true);
  return torch::zeros_like(flat).scatter(1, order.narrow(1, 0, count), 1.0).view_as(saliency);
}

// `phases` returns those of the i-th group. The forward passes of the first `kept` groups go to `forwards`.
std::vector<FoundValues> search(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                const std::function<std::vector<SearchPhase>(std::size_t)>& phases,
                                std::int64_t kept = 0, std::vector<InjectedForward>* forwards = nullptr) {
  if (groups.empty()) return {};
  const Stages& stages = groups.front().model().stages;
  const int first_stage = groups.front().first_stage();
  std::vector<GroupSearch> searches;
  std::int64_t evaluations = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    auto of_group = phases(i);
    evaluations = 0;
    for (const SearchPhase& phase : of_group) evaluations += phase.evaluations;
    searches.emplace_back(std::move(groups[i]), hparams, std::move(of_group));
  }
  auto found = run_searches(searches, stages, first_stage, evaluations, kept);
  for (std::int64_t i = 0; i < kept; ++i) forwards->push_back(searches[static_cast<std::size_t>(i)].take_forward());
  return found;
}

}  // namespace

std::vector<FoundValues> optimize_values(std::vector<InjectedForward> groups, const io::Hparams& hparams) {
  std::vector<SearchPhase> phases;
  for (const InjectedForward& group : groups) {
    phases.push_back({.evaluations = hparams.v_num_grad_steps,
                      .until_converged = true,
                      .anchored = false,
                      .start = origin(group)});
  }
  return search(std::move(groups), hparams, [&](std::size_t i) { return std::vector{phases[i]}; });
}

std::vector<LocatedValues> locate_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                          std::int64_t kept) {
  kept = std::min(kept, std::ssize(groups));
  std::vector<SearchPhase> phases;
  for (const InjectedForward& group : groups) phases.push_back(locating(group, hparams));
  std::vector<LocatedValues> located;
  std::vector<InjectedForward> forwards;
  for (const FoundValues& found : search(
           std::move(groups), hparams, [&](std::size_t i) { return std::vector{phases[i]}; }, kept, &forwards)) {
    const auto parts = found.values.chunk(2, 1);
    located.push_back(located_by(parts[0].contiguous(), parts[1]));
  }
  for (std::size_t i = 0; i < forwards.size(); ++i)
    located[i].forward = std::make_shared<const InjectedForward>(std::move(forwards[i]));
  return located;
}

std::vector<FoundValues> compress_to_anchors(std::vector<InjectedForward> groups, const io::Hparams& hparams,
                                             std::span<const LocatedValues> located,
                                             std::span<const torch::Tensor> anchors) {
  return search(std::move(groups), hparams, [&](std::size_t i) {
    return std::vector<SearchPhase>{
        {.evaluations = hparams.eac_compress_steps,
         .until_converged = true,
         .anchored = true,
         .start = [&, i](const PointSearch*) { return at_anchors(located[i], anchors[i], hparams); }}};
  });
}

std::vector<FoundValues> optimize_anchored_values(std::vector<InjectedForward> groups, const io::Hparams& hparams) {
  const SearchPhase compressing = {.evaluations = hparams.eac_compress_steps,
                                   .until_converged = true,
                                   .anchored = true,
                                   .start = [&](const PointSearch* before) {
                                     const auto located = located_by(before->point(), before->mean_gradient());
                                     return at_anchors(
                                         located, anchors_of(located.saliency, hparams.eac_anchor_ratio), hparams);
                                   }};
  std::vector<SearchPhase> locate;
  for (const InjectedForward& group : groups) locate.push_back(locating(group, hparams));
  return search(std::move(groups), hparams, [&](std::size_t i) { return std::vector{locate[i], compressing}; });
}

}  // namespace anchorage::worker
