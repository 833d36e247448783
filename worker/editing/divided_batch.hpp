// The edits of a batch, divided over replicas in groups, and how what the replicas find of them comes together in
// the order of the batch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/edits/edit.hpp"
#include "sharding/protocol/command.hpp"
#include "worker/communicators.hpp"

namespace anchorage::worker {

// What gathers is collective over the ranks that hold the same layers, has the same result on each of them, and
// throws CollectiveError where one stays away for as long as the busiest one may take. Its seconds count as
// communication.
class DividedBatch {
 public:
  // With `merge_subjects` groups are made in the order of sharding/edit_order.hpp, in which edits of one subject
  // are next to each other. Borrows all.
  DividedBatch(const Communicators& ranks, std::span<const io::Edit> edits, std::int64_t group_size,
               bool merge_subjects, sharding::BatchSeconds& seconds);

  // Returns the edits of each of this replica's groups.
  std::vector<std::vector<io::Edit>> own_groups() const;

  // Gathers why edits are not written: `own` has a text for each edit of `own_groups`, empty where it is written.
  // Once, before anything is asked about written edits.
  void gather_refusals(const std::vector<std::string>& own);
  // One per edit of the batch, in its order.
  const std::vector<std::string>& refusals() const { return refusals_; }

  // Returns rows [n, width] of the batch's written edits in its order, on the ranks' device, from what `own_groups`
  // have. `own`: [rows, width] each, of one dtype; a rank without any tensor takes f32.
  torch::Tensor gather_written(const std::vector<torch::Tensor>& own, std::int64_t width,
                               std::string_view operation) const;

  // Brings what there is of each written edit, in the order of the groups, into the order of the batch.
  template <class T>
  std::vector<T> in_order_of_batch(std::vector<T> of_written) const {
    if (places_.empty()) return of_written;
    std::vector<T> in_order;
    for (const std::int64_t place : places_)
      in_order.push_back(std::move(of_written[static_cast<std::size_t>(place)]));
    return in_order;
  }

  // How long a gather waits: replicas wait for the busiest one.
  sharding::Timeout timeout() const { return timeout_; }
  // The seconds of this rank, which others add to too.
  sharding::BatchSeconds& seconds() const { return seconds_; }

 private:
  std::vector<std::int64_t> places_of_written() const;

  const Communicators& ranks_;
  std::span<const io::Edit> edits_;
  std::int64_t group_size_;
  sharding::BatchSeconds& seconds_;
  sharding::Timeout timeout_;
  std::vector<std::int64_t> order_;  // the edits, as indices, as they are divided into groups
  std::vector<std::string> refusals_;
  // Of the written edits, in the order of the batch: their places among them in that of the groups. Empty where
  // both orders are the same.
  std::vector<std::int64_t> places_;
  std::vector<std::int64_t> written_by_rank_;  // how many edits each rank writes
};

}  // namespace anchorage::worker
