#include "worker/evaluation/gathered_rows.hpp"

#include <torch/utils.h>

namespace anchorage::worker {

torch::Tensor gather_rows(const Transformer& model, const Communicators& ranks,
                          const std::vector<torch::Tensor>& own, std::int64_t count, std::int64_t group_size,
                          std::string_view operation, sharding::Timeout timeout) {
  model.stages.deliver();
  return ranks.device
      .all_gather(at::cat(own).to(model.device()), items_by_rank(ranks, count, group_size), operation, timeout)
      .cpu();
}

}  // namespace anchorage::worker
