// Writing a safetensors file, by the name that tests use.
#pragma once

#include "io/model/safetensors_writer.hpp"

namespace anchorage::tests {

using io::NamedTensor;
using io::write_safetensors;

}  // namespace anchorage::tests
