// Compiles device sources with NVRTC, for which no GPU is needed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "worker/kernels/cuda/kernel.hpp"

namespace anchorage::worker::kernels::cuda {

// What a GPU can do, its compute capability: 9.0 is {9, 0}.
struct Capability {
  int major, minor;
};

struct Program {
  std::vector<char> code;                    // machine code for the GPU, or PTX where the compiler does not know it
  std::map<std::string, std::string> names;  // of the kernels in it
  std::string log;                           // what the compiler says: warnings
};

// Compiles the kernels of a family for one element and GPU. Throws io::InternalError with the compiler's log, and
// where there is no NVRTC.
Program compile(const Family& family, Element element, Capability capability);

}  // namespace anchorage::worker::kernels::cuda
