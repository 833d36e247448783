// Converts between io's matrices and tensors.
#pragma once

#include <torch/types.h>

#include "io/matrix.hpp"

namespace anchorage::worker {

// Copies a tensor to host memory, f32.
io::Matrix to_matrix(const torch::Tensor& tensor);

// Copies a matrix to a tensor on the CPU, [rows, columns] f32.
torch::Tensor to_tensor(const io::Matrix& matrix);

}  // namespace anchorage::worker
