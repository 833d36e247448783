#include "worker/editing/divided_batch.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "io/text/text_of.hpp"
#include "sharding/edit_groups.hpp"
#include "sharding/edit_order.hpp"
#include "worker/index_tensor.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {
namespace {

std::vector<std::int64_t> order_of(std::span<const io::Edit> edits, std::int64_t group_size, bool merge_subjects) {
  if (merge_subjects) return sharding::order_by_subject(edits, group_size);
  std::vector<std::int64_t> order(edits.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// A group is a step: it takes less than a deadline, how much less depends on how its edits converge.
sharding::Timeout timeout_for(std::int64_t edits, std::int64_t group_size, int replicas) {
  const sharding::EditGroups groups(edits, group_size, replicas);
  const std::int64_t most = groups.groups_of_replica(replicas - 1).size();
  return sharding::Timeout::steps(std::max<std::int64_t>(1, most));
}

}  // namespace

DividedBatch::DividedBatch(const Communicators& ranks, std::span<const io::Edit> edits, std::int64_t group_size,
                           bool merge_subjects, sharding::BatchSeconds& seconds)
    : ranks_(ranks),
      edits_(edits),
      group_size_(group_size),
      seconds_(seconds),
      timeout_(timeout_for(std::ssize(edits), group_size, ranks.size())),
      order_(order_of(edits, group_size, merge_subjects)) {}

std::vector<std::vector<io::Edit>> DividedBatch::own_groups() const {
  std::vector<std::vector<io::Edit>> groups;
  for (const auto& range : worker::own_groups(ranks_, std::ssize(edits_), group_size_)) {
    groups.emplace_back();
    for (const std::int64_t edit : part_of(std::span(order_), range))
      groups.back().push_back(edits_[static_cast<std::size_t>(edit)]);
  }
  return groups;
}

void DividedBatch::gather_refusals(const std::vector<std::string>& own) {
  const Stopwatch watch(seconds_.communicate);
  refusals_.resize(order_.size());
  auto edit = order_.begin();
  const std::string text = nlohmann::json(own).dump();
  for (const auto& part : ranks_.host.all_gather(std::as_bytes(std::span(text)), "gather refusals", timeout_)) {
    for (const auto& refusal : nlohmann::json::parse(io::text_of(part)))
      refusals_[static_cast<std::size_t>(*edit++)] = refusal;
  }
  places_ = places_of_written();
  written_by_rank_ = items_by_rank(ranks_, std::ssize(order_), group_size_, [this](std::int64_t item) {
    return refusals_[static_cast<std::size_t>(order_[static_cast<std::size_t>(item)])].empty();
  });
}

std::vector<std::int64_t> DividedBatch::places_of_written() const {
  constexpr std::int64_t refused = -1;
  std::vector<std::int64_t> places(order_.size(), refused);
  std::int64_t next = 0;
  for (const std::int64_t edit : order_) {
    const auto i = static_cast<std::size_t>(edit);
    if (refusals_[i].empty()) places[i] = next++;
  }
  std::erase(places, refused);
  if (std::ranges::is_sorted(places)) places.clear();
  return places;
}

torch::Tensor DividedBatch::gather_written(const std::vector<torch::Tensor>& own, std::int64_t width,
                                           std::string_view operation) const {
  const Stopwatch watch(seconds_.communicate);
  const torch::TensorOptions on_device(ranks_.device.device());
  const auto mine = own.empty() ? torch::empty({0, width}, on_device) : at::cat(own);
  const auto rows = ranks_.device.all_gather(mine, written_by_rank_, operation, timeout_);
  return places_.empty() ? rows : rows.index_select(0, index_tensor(places_, rows.device()));
}

}  // namespace anchorage::worker
