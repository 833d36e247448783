// Launches the kernels for GPUs, each compiled when its family is first asked for on a device (program.hpp).
#pragma once

#include <torch/types.h>

#include "worker/kernels/cuda/kernel.hpp"

namespace anchorage::worker::kernels::cuda {

// Whether a family's kernels are there for an element on a CUDA device: compiles and loads them where that has not
// been tried. Says once in the log, by device, family and element, why they are not.
bool are_there(const Family& family, Element element, torch::Device device);

// Starts a kernel on the current stream of a device where its family is there; a grid without blocks is left out.
// `arguments` is what the kernel takes by value. Throws io::InternalError where CUDA refuses.
void launch(const Kernel& kernel, Element element, torch::Device device, const Grid& grid, const void* arguments);

// Returns how many launches this process has made.
std::int64_t launches();

}  // namespace anchorage::worker::kernels::cuda
