#include "coordinator/guard.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace anchorage::coordinator {
namespace {

// Returns the share of written edits whose target is more probable than before, or is now the argmax. Not
// measured where none was written.
double success_of(const std::vector<io::EditRecord>& edits) {
  double written = 0, taken = 0;
  for (const io::EditRecord& edit : edits) {
    if (edit.state != io::EditState::committed) continue;
    written += 1;
    taken += edit.nll_after < edit.nll_before || edit.match_after ? 1 : 0;
  }
  return taken / written;
}

}  // namespace

std::string Judgment::text() const {
  return fmt::format("{}", fmt::join(rejections, "; "));
}

Judgment judge(const sharding::BatchApplied& applied, const GuardLimits& limits) {
  Judgment judgment;
  const auto look = [&](io::ProbeRecord probe, bool within, const std::string& rejection) {
    judgment.probes.push_back(std::move(probe));
    if (limits.on && !within) judgment.rejections.push_back(rejection);
  };
  const double success = success_of(applied.edits);
  if (std::isnan(success)) return judgment;  // nothing was written
  look(
      {.name = "success", .before = io::not_measured, .after = success}, success >= limits.success,
      fmt::format("the target became more probable for {:.3f} of the edits (limit {:g})", success, limits.success));
  const double rise = applied.heldout_loss.after - applied.heldout_loss.before;
  look(applied.heldout_loss, rise <= limits.loss_rise,
       fmt::format("the held-out loss rose by {:.3f} nats (limit {:g})", rise, limits.loss_rise));
  for (const io::LayerRecord& layer : applied.layers) {
    double change = layer.norms.update;  // upper bound, with the removal of superseded edits
    for (const io::RemovedLayer& removed : applied.removal.layers) {
      if (removed.layer == layer.layer) change += removed.norms.update;
    }
    change /= layer.norms.base;
    look({.name = fmt::format("{}{}", sharding::change_of_layer, layer.layer),
          .before = io::not_measured,
          .after = change},
         change <= limits.drift,
         fmt::format("layer {} changed by {:.3f} of its weight's norm (limit {:g})", layer.layer, change,
                     limits.drift));
  }
  const auto broken = std::ranges::find_if(applied.canaries, &io::CanaryLook::is_broken);
  if (!applied.canaries.empty()) {
    const auto count = [&](bool io::CanaryLook::*held) {
      return static_cast<double>(std::ranges::count(applied.canaries, true, held));
    };
    look({.name = "canaries that hold",
          .before = count(&io::CanaryLook::held_before),
          .after = count(&io::CanaryLook::holds)},
         broken == applied.canaries.end(), broken == applied.canaries.end() ? "" : broken->text());
  }
  return judgment;
}

}  // namespace anchorage::coordinator
