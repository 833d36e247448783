// Rotary positions, in place: blockIdx.x is the row, the blocks of a row share the pairs of its heads. What it
// computes stands in worker/kernels/rotation.hpp.
#include "worker/kernels/cuda/elements.cuh"

namespace anchorage::worker::kernels::device {

// Turns the pair (a, b) by the angle of cosine c and sine s: (a c - b s, b c + a s).
template <class T>
__global__ void rotate_rows(RotationRows rotation) {
  using W = Wide<T>;
  const std::int64_t row = blockIdx.x, step = static_cast<std::int64_t>(gridDim.y) * blockDim.x;
  const std::int64_t half = rotation.turned / 2;
  const T* cosine = static_cast<const T*>(rotation.cosine) + row * rotation.turned;
  const T* sine = static_cast<const T*>(rotation.sine) + row * rotation.turned;
  T* heads = static_cast<T*>(rotation.joined) + row * rotation.of_row * rotation.width;
  for (std::int64_t pair = blockIdx.y * blockDim.x + threadIdx.x; pair < rotation.heads * half; pair += step) {
    const std::int64_t i = pair % half, first = rotation.neighbors ? 2 * i : i;
    T* a = heads + pair / half * rotation.width + first;
    T* b = a + (rotation.neighbors ? 1 : half);
    const W x = wide(*a), y = wide(*b), c = wide(cosine[first]);
    const W s = rotation.back ? -wide(sine[first]) : wide(sine[first]);
    *a = narrow<T>(multiply_add(-y, s, x * c));
    *b = narrow<T>(multiply_add(x, s, y * c));
  }
}

}  // namespace anchorage::worker::kernels::device
