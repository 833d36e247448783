// Elements as memory holds them and as kernels compute with them, and sums over the threads of a block.
//
// Everything is summed in a fixed order, without atomics, so a kernel gives the same bits every time. Products and
// sums are written out as they are rounded: the compiler is told to contract none (program.cpp).
//
// Compiled by NVRTC without any header of CUDA's. On a CPU, for tests, tests/support/host_grid.hpp gives what
// CUDA's compiler has built in, and the two conversions of f16.
#pragma once

#include "worker/kernels/row_arguments.hpp"

namespace anchorage::worker::kernels::device {

struct bf16 {
  unsigned short bits;
};

struct f16 {
  unsigned short bits;
};

template <class T>
struct WideOf {
  using type = float;
};
template <>
struct WideOf<double> {
  using type = double;
};
template <class T>
using Wide = typename WideOf<T>::type;

__device__ inline float wide(bf16 x) {
  return __uint_as_float(static_cast<unsigned>(x.bits) << 16);
}

__device__ inline float wide(f16 x) {
#ifdef __CUDA_ARCH__
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#else
  return float_of_half(x.bits);
#endif
}

__device__ inline float wide(float x) {
  return x;
}

__device__ inline double wide(double x) {
  return x;
}

// The nearest element, ties to even; a NaN of any NaN.
template <class T>
__device__ inline T narrow(Wide<T> x) {
  return x;
}

template <>
__device__ inline bf16 narrow<bf16>(float x) {
  const unsigned bits = __float_as_uint(x);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) return {0x7FC0};
  return {static_cast<unsigned short>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
}

template <>
__device__ inline f16 narrow<f16>(float x) {
#ifdef __CUDA_ARCH__
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return {bits};
#else
  return {half_of_float(x)};
#endif
}

// Rounds to what memory of T would hold.
template <class T>
__device__ inline Wide<T> rounded_to(Wide<T> x) {
  return wide(narrow<T>(x));
}

__device__ inline float multiply_add(float a, float b, float c) {
  return fmaf(a, b, c);
}
__device__ inline double multiply_add(double a, double b, double c) {
  return fma(a, b, c);
}
__device__ inline float power(float x) {
  return expf(x);
}
__device__ inline double power(double x) {
  return exp(x);
}
__device__ inline float hyperbolic_tangent(float x) {
  return tanhf(x);
}
__device__ inline double hyperbolic_tangent(double x) {
  return tanh(x);
}
__device__ inline float square_root(float x) {
  return sqrtf(x);
}
__device__ inline double square_root(double x) {
  return sqrt(x);
}
__device__ inline float logarithm(float x) {
  return logf(x);
}
__device__ inline double logarithm(double x) {
  return log(x);
}
__device__ inline float infinity(float) {
  return __uint_as_float(0x7F800000U);
}
__device__ inline double infinity(double) {
  return static_cast<double>(__uint_as_float(0x7F800000U));
}

constexpr unsigned threads_of_warp = 32;

// The shared memory of a block, as large as the launch asks for.
template <class W>
__device__ inline W* shared_memory() {
  extern __shared__ double shared_doubles[];
  return reinterpret_cast<W*>(shared_doubles);
}

struct Sum {
  template <class W>
  __device__ W operator()(W a, W b) const {
    return a + b;
  }
};

// Of a NaN and a number the number.
struct Highest {
  template <class W>
  __device__ W operator()(W a, W b) const {
    return a > b || b != b ? a : b;
  }
};

// Combines what the threads of a warp have; all of them get the result.
template <class W, class Combine>
__device__ inline W over_warp(W mine, Combine combine) {
  for (unsigned apart = threads_of_warp / 2; apart > 0; apart /= 2)
    mine = combine(mine, __shfl_xor_sync(0xFFFFFFFFU, mine, static_cast<int>(apart)));
  return mine;
}

// Combines what the threads of a block have; all of them get the result. `of_warps` is shared and has an entry for
// each warp.
template <class W, class Combine>
__device__ inline W over_block(W mine, Combine combine, W* of_warps) {
  mine = over_warp(mine, combine);
  __syncthreads();  // the result before this one has been read
  if (threadIdx.x % threads_of_warp == 0) of_warps[threadIdx.x / threads_of_warp] = mine;
  __syncthreads();
  W result = of_warps[0];
  for (unsigned warp = 1; warp < blockDim.x / threads_of_warp; ++warp) result = combine(result, of_warps[warp]);
  return result;
}

}  // namespace anchorage::worker::kernels::device
