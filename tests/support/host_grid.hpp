// Runs device sources (worker/kernels/cuda/*.cu) on a CPU. Include it before them, in one file of a program.
//
// A stand-in for CUDA's built-in names, to check arithmetic, indices and barriers where there is no GPU. It is no
// GPU: blocks run one after another, and the threads of a block take turns at barriers and shuffles alone. It knows
// nothing of registers, of how much shared memory there is, of the memory model, or of what NVRTC makes of the
// source; a GPU's own exp and tanh differ by rounding.
//
// What a block does wrong shows where threads take their turns in another order: a barrier that is missing gives
// other bits, one that not all threads reach ends the run. Shared memory is full of NaN when a block begins.
#pragma once

#include <c10/util/Half.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

#include "worker/kernels/cuda/kernel.hpp"

#define __global__
#define __device__
#define __shared__
#define __launch_bounds__(threads)

struct GridIndex {
  unsigned x = 0, y = 0;
};
inline GridIndex threadIdx, blockIdx, blockDim, gridDim;

inline float __uint_as_float(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline unsigned __float_as_uint(float value) {
  return std::bit_cast<unsigned>(value);
}
// In place of the PTX of conversions.
inline float float_of_half(unsigned short bits) {
  return c10::detail::fp16_ieee_to_fp32_value(bits);
}
inline unsigned short half_of_float(float value) {
  return c10::detail::fp16_ieee_from_fp32_value(value);
}

namespace anchorage::worker::kernels::device {
alignas(16) double shared_doubles[6144];  // what a block may have
}

namespace anchorage::tests {

enum class ThreadOrder { ascending, descending };

// The threads of a block, as fibers of the one thread that runs them.
class HostBlock {
 public:
  // Runs blockDim.x threads, whole warps, of the block blockIdx.
  void run(ThreadOrder order, const std::function<void()>& thread) {
    thread_ = &thread;
    running_ = this;
    fibers_.resize(std::max<std::size_t>(fibers_.size(), blockDim.x));
    for (std::size_t t = 0; t < blockDim.x; ++t) begin(fibers_[t]);
    while (true) {
      bool any = false;
      for (unsigned turn = 0; turn < blockDim.x; ++turn) {
        const unsigned t = order == ThreadOrder::ascending ? turn : blockDim.x - 1 - turn;
        if (fibers_[t].state != State::ready) continue;
        any = true;
        current_ = t;
        threadIdx = {t, 0};
        swapcontext(&scheduler_, &fibers_[t].context);
      }
      if (!any) return;
      release();
    }
  }

  void wait_for_block() { wait(State::at_block); }

  // The value of the thread whose number in the warp differs in the bits of `apart`.
  template <class W>
  W exchange(W mine, unsigned apart) {
    Fiber& own = fibers_[current_];
    const unsigned slot = own.shuffles++ % 2;  // the slot of the shuffle before may still be read
    std::memcpy(&own.shuffled[slot], &mine, sizeof(W));
    const unsigned other = current_ ^ apart;
    wait(State::at_warp);
    W theirs;
    std::memcpy(&theirs, &fibers_[other].shuffled[slot], sizeof(W));
    return theirs;
  }

  static HostBlock& running() { return *running_; }

 private:
  enum class State { ready, at_warp, at_block, done };
  struct Fiber {
    ucontext_t context{};
    std::vector<char> stack = std::vector<char>(32 * 1024);
    State state = State::done;
    unsigned shuffles = 0;
    std::array<std::uint64_t, 2> shuffled{};
  };

  static void main_of_fiber() {
    HostBlock& block = running();
    (*block.thread_)();
    block.wait(State::done);
  }

  void begin(Fiber& fiber) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &HostBlock::main_of_fiber, 0);
    fiber.state = State::ready;
    fiber.shuffles = 0;
  }

  void wait(State state) {
    Fiber& own = fibers_[current_];
    own.state = state;
    swapcontext(&own.context, &scheduler_);
  }

  bool all_are(State state, unsigned begin, unsigned end) const {
    return std::all_of(fibers_.begin() + begin, fibers_.begin() + end,
                       [&](const Fiber& fiber) { return fiber.state == state; });
  }

  // Frees whoever waits for nobody any more. Where nobody runs, and some wait, they wait for ever.
  void release() {
    bool any = all_are(State::done, 0, blockDim.x);
    const auto free = [&](State state, unsigned begin, unsigned end) {
      if (!all_are(state, begin, end)) return;
      for (unsigned t = begin; t < end; ++t) fibers_[t].state = State::ready;
      any = true;
    };
    free(State::at_block, 0, blockDim.x);
    for (unsigned warp = 0; warp < blockDim.x; warp += 32) free(State::at_warp, warp, warp + 32);
    if (!any)
      throw std::logic_error("expected all threads of a block or warp at its barrier, found some elsewhere");
  }

  inline static HostBlock* running_ = nullptr;
  const std::function<void()>* thread_ = nullptr;
  std::vector<Fiber> fibers_;
  ucontext_t scheduler_{};
  unsigned current_ = 0;
};

// Runs a kernel on all blocks of a grid.
template <class Arguments>
void run_on_host(void (*kernel)(Arguments), const worker::kernels::cuda::Grid& grid, const Arguments& arguments,
                 ThreadOrder order) {
  static HostBlock block;
  auto& shared = worker::kernels::device::shared_doubles;
  if (grid.shared_bytes > sizeof(shared)) throw std::logic_error("more shared memory than a block may have");
  gridDim = {static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y)};
  blockDim = {grid.threads, 1};
  const unsigned count = gridDim.x * gridDim.y;
  for (unsigned turn = 0; turn < count; ++turn) {
    const unsigned number = order == ThreadOrder::ascending ? turn : count - 1 - turn;
    blockIdx = {number % gridDim.x, number / gridDim.x};
    std::memset(shared, 0xFF, sizeof(shared));
    block.run(order, [&] { kernel(arguments); });
  }
}

}  // namespace anchorage::tests

inline void __syncthreads() {
  anchorage::tests::HostBlock::running().wait_for_block();
}

template <class W>
W __shfl_xor_sync(unsigned, W mine, int apart) {
  return anchorage::tests::HostBlock::running().exchange(mine, static_cast<unsigned>(apart));
}
