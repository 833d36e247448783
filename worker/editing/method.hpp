// The editing methods, by name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/hparams/hparams.hpp"

namespace anchorage::worker {

struct Method {
  std::string name;
  bool carries_keys;  // earlier batches' keys stay in the least squares: a sequence of batches equals one big one
  bool anchored;      // values are compressed to their anchors (EAC)
  bool joint;         // one vector a layer, injected and written at its own layer, all layers in parallel (B-EAC)
  bool null_space;    // updates are confined to the null space of the second moment (AlphaEdit)
};

// Whether values are found in two phases: dense, then on their anchors alone.
bool compresses(const Method& method, const io::Hparams& hparams);

// Evaluations of the loss at the most that the values of a group take.
std::int64_t evaluations_of(const Method& method, const io::Hparams& hparams);

// memit, memit_seq, eac, alphaedit, b-eac. Throws io::UserError that lists them for another name.
Method method_named(std::string_view name);

}  // namespace anchorage::worker
