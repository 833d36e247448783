#include "worker/editing/update/removal.hpp"

#include <algorithm>
#include <map>

#include "io/error.hpp"
#include "worker/editing/update/prior.hpp"
#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {
namespace {

torch::Tensor to_f64(const io::Matrix& matrix) {
  return to_tensor(matrix).to(torch::kDouble);
}

// Returns row `edit` of the residuals, dense: [d] f64.
torch::Tensor residual_of(const io::LayerRecord& layer, std::int32_t edit) {
  auto residual = torch::zeros({layer.u.rows}, torch::kDouble);
  const auto row = static_cast<std::size_t>(edit);
  for (auto i = layer.residuals.offsets[row]; i < layer.residuals.offsets[row + 1]; ++i) {
    const auto place = static_cast<std::size_t>(i);
    residual[layer.residuals.indices[place]] = static_cast<double>(layer.residuals.values[place]);
  }
  return residual;
}

bool has(const std::vector<std::int64_t>& layers, std::int64_t layer) {
  return std::ranges::binary_search(layers, layer);
}

// Sums D K - T segment by segment.
class Excess {
 public:
  explicit Excess(const std::vector<io::RecordedPlace>& edits) : edits_(edits), begun_(edits.size(), false) {}

  void add(const io::SegmentReader& segment, std::int64_t layer) {
    const bool any_begun = std::ranges::any_of(begun_, [](bool begun) { return begun; });
    if (any_begun && has(segment.removed_layers(), layer)) {
      const io::RemovedLayer removed = segment.removed_layer(layer);
      add_update(removed.u, removed.v);
    }
    if (!has(segment.layers(), layer)) return;
    const io::LayerRecord record = segment.layer(layer);
    for (std::size_t i = 0; i < edits_.size(); ++i) {
      if (edits_[i].segment == segment.header().batch) begin(i, record);
    }
    add_update(record.u, record.v);
  }

  RemovalTerms terms() const {
    for (std::size_t i = 0; i < edits_.size(); ++i)
      io::check(begun_[i], fmt::format("edit {} is not live in segment {}", edits_[i].id, edits_[i].segment));
    return {.keys = keys_.to(torch::kFloat), .excess = excess_};
  }

 private:
  void begin(std::size_t i, const io::LayerRecord& record) {
    const auto row = static_cast<std::int64_t>(i), rows = std::ssize(edits_);
    if (!keys_.defined()) {
      keys_ = torch::zeros({rows, record.keys.columns}, torch::kDouble);
      excess_ = torch::zeros({record.u.rows, rows}, torch::kDouble);
    }
    io::check(std::ranges::count(record.edit_of_column, edits_[i].edit) > 0,
              fmt::format("edit {} was not written in segment {}", edits_[i].id, edits_[i].segment));
    keys_[row] = to_f64(record.keys)[edits_[i].edit];
    excess_.select(1, row) -= residual_of(record, edits_[i].edit);
    begun_[i] = true;
  }

  // Adds the update's effect at the keys of edits whose batch has come; other keys are zero until then.
  void add_update(const io::Matrix& u, const io::Matrix& v) {
    if (keys_.defined()) excess_ += at::mm(to_f64(u), at::mm(to_f64(v).t(), keys_.t()));
  }

  const std::vector<io::RecordedPlace>& edits_;
  std::vector<bool> begun_;
  torch::Tensor keys_;    // [r, f] f64
  torch::Tensor excess_;  // [d, r] f64
};

}  // namespace

void require_removable(const Method& method) {
  if (method.carries_keys) return;
  throw io::UserError({.expected = fmt::format("a run of a method that carries keys from batch to batch, {}",
                                               methods_that([](const Method& one) { return one.carries_keys; })),
                       .found = fmt::format("one of {}", method.name),
                       .where = "",
                       .remedy = "a single edit of such a run cannot be removed: use 'anchorage rollback'"});
}

RemovalTerms removal_terms(const sharding::Removal& removal, std::int64_t layer) {
  io::check(!removal.edits.empty(), "a removal of no edits");
  const auto first = std::ranges::min(removal.edits, {}, &io::RecordedPlace::segment).segment;
  Excess excess(removal.edits);
  for (const std::string& path : removal.live) {
    const io::SegmentReader segment(path);
    if (segment.header().batch >= first) excess.add(segment, layer);
  }
  return excess.terms();
}

LowRankUpdate removal_update(const KeyCovariance& covariance, const RemovalTerms& terms) {
  const auto keys = terms.keys.to(torch::kDouble).t();
  return {.u = terms.excess, .v = KeyCovariance::directions_without(keys, covariance.products(keys))};
}

KeyCovariance replayed_key_covariance(const Method& method, const io::Hparams& hparams,
                                      const io::StatisticsFile& statistics, std::int64_t layer,
                                      std::span<const std::string> live,
                                      const std::optional<io::ProtectedKeys>& protected_keys) {
  const std::int64_t width = statistics.moment_rows(layer, 0, 0).columns;
  KeyCovariance covariance(key_prior_of(method, hparams, statistics, layer, protected_keys),
                           SlabPlace::alone(width));
  if (!method.carries_keys) return covariance;
  for (const KeyChange& change : key_changes(layer, live)) {
    covariance.replay(change);
    covariance.accept();
  }
  return covariance;
}

std::vector<KeyChange> key_changes(std::int64_t layer, std::span<const std::string> live) {
  std::vector<KeyChange> changes;
  for (const std::string& path : live) {
    const io::SegmentReader segment(path);
    if (has(segment.removed_layers(), layer))
      changes.push_back({.keys = to_tensor(segment.removed_layer(layer).keys), .sign = -1});
    if (has(segment.layers(), layer)) changes.push_back({.keys = absorbed_keys(segment.layer(layer)), .sign = 1});
  }
  return changes;
}

torch::Tensor absorbed_keys(const io::LayerRecord& layer) {
  const std::vector<std::int64_t> written(layer.edit_of_column.begin(), layer.edit_of_column.end());
  return to_tensor(layer.keys).index_select(0, torch::tensor(written));
}

}  // namespace anchorage::worker
