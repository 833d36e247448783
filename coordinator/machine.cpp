#include "coordinator/machine.hpp"

namespace anchorage::coordinator {

Machine Machine::cpu(int threads) {
  return {.is_gpu = false,
          .memory_bytes = 8e9,
          .flops = 65e9 * threads,
          .double_flops = 14e9 * threads,
          .memory_rate = 4e9,
          .link_bytes = 2e9,
          .link_latency = 50e-6,
          .runtime_bytes = 190'000'000,
          .kernel_bytes = 170'000'000,
          .exchange_bytes = 5'000'000};
}

}  // namespace anchorage::coordinator
