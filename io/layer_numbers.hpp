// Groups of HDF5 files that have a child a layer, named by its number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/hdf5/file.hpp"

namespace anchorage::io {

// The numbers of the group's children, ascending. UserError for a child of another name; `where` is the file.
std::vector<std::int64_t> layer_numbers(const hdf5::Group& group, const std::string& where);

}  // namespace anchorage::io
