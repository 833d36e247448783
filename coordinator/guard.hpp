// The guard: whether a batch that is_live in the weights may be committed.
//
// It looks at the batch's own edits (did they take?), at the loss on text that no edit is about, and at how much
// each edited weight was changed. A number that is not finite passes no limit.
#pragma once

#include <string>
#include <vector>

#include "io/run/journal/segment.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

struct GuardLimits {
  bool on = true;
  double success = 0.5;     // least share of the written edits whose target became more probable
  double loss_rise = 0.25;  // most by which the held-out loss may rise in one batch, nats a token
  double drift = 5.0;       // most that one batch may change a weight by, in Frobenius norms of the base weight
};

struct Judgment {
  std::vector<io::ProbeRecord> probes;  // what was measured
  std::vector<std::string> rejections;  // empty: accepted

  bool accepted() const { return rejections.empty(); }
  std::string text() const;  // "the held-out loss rose by 7.012 nats (limit 0.25); ..."
};

// Off, it measures and objects to nothing.
Judgment judge(const sharding::BatchApplied& applied, const GuardLimits& limits);

}  // namespace anchorage::coordinator
