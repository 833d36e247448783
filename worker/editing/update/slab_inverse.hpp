// The inverse of a symmetric positive definite matrix that lies in slabs of rows.
#pragma once

#include <torch/types.h>

#include <map>

#include "worker/editing/update/slab_place.hpp"

namespace anchorage::worker {

// Replaces this rank's slabs [rows, f] f64 of A by those of A^-1, at f^3 operations in all. Needs [f, rows] of
// scratch, one slab. The same bits wherever the slabs lie. Throws io::UserError, on every rank, where A is not
// positive definite; the slabs are not A's any more then. Collective over the place's world.
void invert(std::map<std::size_t, torch::Tensor>& slabs, const SlabPlace& place);

}  // namespace anchorage::worker
