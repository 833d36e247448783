// The order in which the edits of a batch are divided into groups (edit_groups.hpp) where edits of one subject
// share a value (docs/method.md section 1): a value is found within a group.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "io/edits/edit.hpp"

namespace anchorage::sharding {

// Returns the edits, as indices into the given ones, in an order in which those with equal subjects are next to
// each other and, as far as possible, in one group of `group_size` >= 1:
//
// - The edits of a subject come where the first of them is; apart from that the order stays.
// - Where they would cross a group's end, later edits whose subject does not repeat fill the group up first. Where
//   there are too few of those, or a subject has more edits than a group, the group's end parts them.
//
// Without a repeated subject this is the given order. Ordering what is ordered changes nothing. The last group may
// be short.
[[nodiscard]] std::vector<std::int64_t> order_by_subject(std::span<const io::Edit> edits, std::int64_t group_size);

}  // namespace anchorage::sharding
