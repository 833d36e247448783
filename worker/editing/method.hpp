// The editing methods, each described by its strategies. What a batch computes follows from the description
// alone, so a method that combines strategies in another way is one more row (CONTRIBUTING.md says what else
// it takes).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "io/hparams/hparams.hpp"

namespace anchorage::worker {

// Which vectors are found for an edit: one, injected after the last edited layer, or one for each edited layer,
// each injected after its own, in one objective.
enum class ValueRule { last_layer, every_layer };

// What is done with the vectors that were found: nothing, or they are compressed to anchors. Anchors are the
// entries of highest saliency (EAC), or entries that are selected layer by layer over the whole batch and
// refreshed from batch to batch (B-EAC: LAS and RAR).
enum class ValueTransform { none, top_saliency, layer_wise_selection };

// What restrains the update, the matrix A before any edit: the second moment of the keys of general text,
// weighted (MEMIT), or a plain ridge.
enum class Prior { second_moment, ridge };

// What is done with the update: nothing, or it is projected onto the null space of the second moment
// (AlphaEdit).
enum class UpdateTransform { none, null_space };

// How the layers share a batch: each in turn writes its part of the remaining residual (MEMIT), or all write
// their own vectors at once and are then corrected layer by layer, upward (joint_write.hpp).
enum class Solve { in_turn, joint };

struct Method {
  std::string_view name;
  ValueRule values;
  ValueTransform value_transform;
  Prior prior;
  UpdateTransform update_transform;
  Solve solve;
  bool carries_keys;  // earlier batches' keys stay in the least squares: a sequence of batches equals one big one
};

std::span<const Method> methods();

// Returns the method of this name; throws io::UserError that lists the names for any other.
const Method& method_named(std::string_view name);

// Returns "b-eac, memit, ...", the default first.
std::string method_names();

// Whether anchors are selected layer by layer over all edits of a batch.
bool selects_anchors(const Method& method, const io::Hparams& hparams);

// Whether values are found in two phases: dense, then on their anchors alone.
bool compresses(const Method& method, const io::Hparams& hparams);

// Returns how many evaluations of the loss the values of a group take at most.
std::int64_t evaluations_of(const Method& method, const io::Hparams& hparams);

// Throws io::InternalError where the strategies do not go together: each kind of anchors needs its kind of
// vectors, and a joint solve needs a vector for each layer.
void check_strategies(const Method& method);

// Returns the names of the methods for which `holds` is true, for messages: "eac or b-eac".
std::string methods_that(const std::function<bool(const Method&)>& holds);

}  // namespace anchorage::worker
