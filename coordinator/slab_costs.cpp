#include "coordinator/slab_costs.hpp"

#include <algorithm>

#include "sharding/slabs.hpp"

namespace anchorage::coordinator {

SlabCosts::SlabCosts(const Workload& workload, const Machine& machine, const std::vector<std::int64_t>& most)
    : workload_(workload),
      machine_(machine),
      ranks_(std::ssize(most)),
      width_(static_cast<double>(workload.model.d_ff)),
      batch_(static_cast<double>(workload.batch)),
      owned_(most.size(), 0) {
  if (workload_.edited_layers() == 0) return;
  const auto layers = static_cast<std::size_t>(workload_.edited_layers());
  const auto slabs = sharding::slabs_of(layers, workload_.model.d_ff);
  const std::size_t slabs_of_layer = slabs.size() / layers;
  slabs_of_layer_ = static_cast<double>(slabs_of_layer);
  rows_ = width_ / slabs_of_layer_;
  const auto owners = sharding::deal_slabs(std::vector<std::int64_t>(slabs.size(), 1), most);
  of_layer_.assign(layers, std::vector<std::int64_t>(most.size(), 0));
  for (std::size_t slab = 0; slab < slabs.size(); ++slab) {
    const auto owner = static_cast<std::size_t>(owners[slab]);
    ++owned_[owner];
    ++of_layer_[slabs[slab].layer][owner];
  }
}

double SlabCosts::reading(double matrices) const {
  return matrices * 8 * rows_ * width_ / machine_.memory_rate;
}

double SlabCosts::product() const {
  return products(2 * rows_ * width_ * batch_) + reading(1);
}

// Reads and writes P_t, and reads it once more.
double SlabCosts::acceptance() const {
  return products(2 * rows_ * width_ * batch_) + reading(3);
}

double SlabCosts::factor() const {
  const auto d = static_cast<double>(workload_.model.d_model);
  return products(batch_ * batch_ * (2 * width_ + batch_ / 3 + 2 * d));
}

double SlabCosts::gather() const {
  if (ranks_ == 1) return 0;
  const auto d = static_cast<double>(workload_.model.d_model);
  return machine_.link_latency + 4 * batch_ * (width_ + d) / machine_.link_bytes;
}

double SlabCosts::broadcast() const {
  if (ranks_ == 1) return 0;
  return slabs_of_layer_ * machine_.link_latency + 8 * width_ * batch_ / machine_.link_bytes;
}

// Of each pivot slab: its factor and inverse, by its owner; then its row panel and the updates of half of the
// blocks of all other slabs, by theirs. In the end the other half is copied.
double SlabCosts::first_inverses() const {
  const double block = rows_ * rows_;
  const double pivot = products(block * rows_), update = products(block * (width_ + 2 * rows_)) + reading(1);
  const double exchanged = ranks_ == 1 ? 0 : 8 * rows_ * width_ / machine_.link_bytes;
  const double latency = ranks_ == 1 ? 0 : slabs_of_layer_ * machine_.link_latency;
  double seconds = 0;
  for (const auto& owned_by : of_layer_) {
    const auto owned = static_cast<double>(std::ranges::max(owned_by));
    const double updated = owned < slabs_of_layer_ ? owned : owned - 1;
    seconds += slabs_of_layer_ * (pivot + exchanged + latency + updated * update) + owned * (exchanged + latency);
  }
  return seconds;
}

double SlabCosts::eigenvectors() const {
  if (!workload_.null_space) return 0;
  const std::int64_t turns = (workload_.edited_layers() + ranks_ - 1) / ranks_;
  return static_cast<double>(turns) * products(9 * width_ * width_ * width_);
}

}  // namespace anchorage::coordinator
