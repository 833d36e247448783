#include "worker/matrix_conversion.hpp"

namespace anchorage::worker {

io::Matrix to_matrix(const torch::Tensor& tensor) {
  const auto values = tensor.to(torch::kFloat).cpu().contiguous();
  const float* begin = values.data_ptr<float>();
  return {.rows = values.size(0), .columns = values.size(1), .values = {begin, begin + values.numel()}};
}

torch::Tensor to_tensor(const io::Matrix& matrix) {
  // from_blob wants a mutable pointer; the values are only read, and copied by clone().
  auto* values = const_cast<float*>(matrix.values.data());
  return torch::from_blob(values, {matrix.rows, matrix.columns}, torch::kFloat).clone();
}

}  // namespace anchorage::worker
