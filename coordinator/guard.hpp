// The guard decides whether a batch that has been written into the weights may be committed.
//
// It checks the batch's own edits (did they succeed?), the loss on text that no edit is about, how much each edited
// weight changed, and whether a canary that held before holds no more. A number that is not finite fails every
// limit.
#pragma once

#include <string>
#include <vector>

#include "io/run/journal/segment.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

struct GuardLimits {
  bool on = true;
  double success = 0.5;     // smallest share of written edits whose target became more probable
  double loss_rise = 0.25;  // largest rise of the held-out loss in one batch, nats per token
  double drift = 5.0;       // largest change of a weight by one batch, in Frobenius norms of the base weight
};

struct Judgment {
  std::vector<io::ProbeRecord> probes;  // what was measured
  std::vector<std::string> rejections;  // empty: accepted

  bool accepted() const { return rejections.empty(); }
  std::string text() const;  // "the held-out loss rose by 7.012 nats (limit 0.25); ..."
};

// Judges an applied batch. With the guard off, it measures and rejects nothing.
Judgment judge(const sharding::BatchApplied& applied, const GuardLimits& limits);

}  // namespace anchorage::coordinator
