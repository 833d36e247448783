#include "worker/statistics/last_keys.hpp"

#include <torch/utils.h>
#include <algorithm>
#include <utility>

#include "sharding/edit_groups.hpp"
#include "worker/statistics/key_sums.hpp"

namespace anchorage::worker {
namespace {

constexpr std::int64_t rows_per_pass = 32;  // the unit of work: independent of the number of ranks

// Returns the keys at the rows' last tokens, by layer, of the layers that this stage holds: [rows, f] f32.
std::map<std::int64_t, torch::Tensor> last_keys(const Transformer& model, std::span<const TokenIds> rows,
                                                const std::vector<std::int64_t>& layers) {
  TokenLayout layout = lay_out(rows, {}, model.device());
  std::vector<std::int64_t> last;
  for (std::size_t row = 0; row < rows.size(); ++row) last.push_back(layout.row_begin[row + 1] - 1);
  const auto tokens = index_tensor(last, model.device());
  std::map<std::int64_t, torch::Tensor> keys;
  run_blocks(model, std::move(layout), layers.back(), [&](std::int64_t layer, const BlockOutput& output) {
    if (std::ranges::binary_search(layers, layer))
      keys[layer] = output.key.index_select(0, tokens).to(torch::kFloat);
  });
  return keys;
}

}  // namespace

void for_last_keys(const Transformer& model, std::span<const TokenIds> rows,
                   const std::vector<std::int64_t>& layers, const Communicators& ranks,
                   const std::function<void(const LastKeysOfRound& round)>& use) {
  const sharding::EditGroups groups(std::ssize(rows), rows_per_pass, ranks.size());
  for (std::int64_t first = 0; first < groups.count(); first += ranks.size()) {
    LastKeysOfRound round;
    for (std::int64_t group = first; group < std::min(first + ranks.size(), groups.count()); ++group) {
      const sharding::Range range = groups.edits_of_group(group);
      round.sizes.push_back(range.size());
      if (group == first + ranks.rank()) round.own = last_keys(model, part_of(rows, range), layers);
    }
    round.done = std::min((first + ranks.size()) * rows_per_pass, std::ssize(rows));
    use(round);
  }
}

}  // namespace anchorage::worker
