#include "worker/editing/anchors/exchange.hpp"

#include <algorithm>
#include <cstring>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

// Packs values as bytes, one after the other; every rank runs the same build on the same kind of machine.
class Packer {
 public:
  template <class T>
  void put(std::span<const T> values) {
    const auto raw = std::as_bytes(values);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  void put(std::int64_t value) { put(std::span<const std::int64_t>(&value, 1)); }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }

  template <class T>
  std::vector<T> take(std::size_t count) {
    io::check(count * sizeof(T) <= rest_.size(), "a message of candidates is whole");
    std::vector<T> values(count);
    std::memcpy(values.data(), rest_.data(), count * sizeof(T));
    rest_ = rest_.subspan(count * sizeof(T));
    return values;
  }
  std::int64_t take() { return take<std::int64_t>(1).front(); }

 private:
  std::span<const std::byte> rest_;
};

void pack(const Candidates& edit, Packer& packer) {
  packer.put(edit.budget);
  packer.put(static_cast<std::int64_t>(edit.complete));
  packer.put(std::ssize(edit.entries));
  packer.put(std::span<const std::uint32_t>(edit.entries));
  packer.put(std::span<const float>(edit.scores));
}

std::vector<Candidates> unpack(std::span<const std::byte> bytes) {
  std::vector<Candidates> edits;
  for (Unpacker unpacker(bytes); !unpacker.empty();) {
    const std::int64_t budget = unpacker.take();
    const bool complete = unpacker.take() != 0;
    const auto count = static_cast<std::size_t>(unpacker.take());
    edits.push_back({.budget = budget,
                     .complete = complete,
                     .entries = unpacker.take<std::uint32_t>(count),
                     .scores = unpacker.take<float>(count)});
  }
  return edits;
}

std::span<const float> values_of_row(const torch::Tensor& rows, std::int64_t row) {
  return {rows.data_ptr<float>() + row * rows.size(1), static_cast<std::size_t>(rows.size(1))};
}

}  // namespace

torch::Tensor select_anchors_over_ranks(const torch::Tensor& saliency, std::span<const float> factors,
                                        const SelectionRules& rules, sharding::HostCommunicator& ranks,
                                        sharding::Timeout timeout) {
  const std::int64_t entries = rules.layers * rules.width;
  io::check(std::ssize(factors) == entries, "a factor a layer and dimension");
  const auto importance = saliency.detach().to(torch::kCPU, torch::kFloat).flatten(1).contiguous();
  const auto factor_row = torch::tensor(at::ArrayRef<float>(factors.data(), factors.size()));
  const auto scores = (importance * factor_row).contiguous();

  for (std::int64_t limit = std::min(typical_candidates(rules), entries);; limit = std::min(2 * limit, entries)) {
    Packer packer;
    for (std::int64_t edit = 0; edit < scores.size(0); ++edit) {
      pack(candidates_of(values_of_row(scores, edit), values_of_row(importance, edit), rules, limit), packer);
    }
    std::vector<Candidates> edits;
    std::int64_t first = 0;
    const auto parts = ranks.all_gather(packer.bytes(), "gather anchor candidates", timeout);
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
      if (static_cast<int>(rank) == ranks.rank()) first = std::ssize(edits);
      for (Candidates& edit : unpack(parts[rank])) edits.push_back(std::move(edit));
    }
    const Selection selection = select_anchors(edits, rules);
    if (!selection.decided) continue;

    auto anchors = torch::zeros({scores.size(0), entries});
    for (std::int64_t edit = 0; edit < scores.size(0); ++edit) {
      float* row = anchors.data_ptr<float>() + edit * entries;
      for (const std::uint32_t entry : selection.anchors[static_cast<std::size_t>(first + edit)]) row[entry] = 1;
    }
    return anchors.view({scores.size(0), rules.layers, rules.width});
  }
}

std::vector<Candidates> gather_anchors(const torch::Tensor& rows, sharding::HostCommunicator& ranks) {
  const auto flat = rows.detach().to(torch::kCPU, torch::kFloat).flatten(1).contiguous();
  Packer packer;
  for (std::int64_t row = 0; row < flat.size(0); ++row) {
    const auto values = values_of_row(flat, row);
    Candidates own{.budget = 0, .complete = true, .entries = {}, .scores = {}};
    for (std::size_t entry = 0; entry < values.size(); ++entry) {
      if (values[entry] == 0) continue;
      own.entries.push_back(static_cast<std::uint32_t>(entry));
      own.scores.push_back(values[entry]);
    }
    pack(own, packer);
  }
  std::vector<Candidates> all;
  for (const auto& part : ranks.gather(packer.bytes(), 0, "gather anchors")) {
    for (Candidates& edit : unpack(part)) all.push_back(std::move(edit));
  }
  return all;
}

}  // namespace anchorage::worker
