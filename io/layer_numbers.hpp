// Groups of HDF5 files that have one child per layer, named by the layer's number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5/file.hpp"

namespace anchorage::io {

// Returns the numbers of the group's children, ascending. Throws UserError for a child of another name;
// `where` is the file.
std::vector<std::int64_t> layer_numbers(const hdf5::Group& group, const std::string& where);

}  // namespace anchorage::io
