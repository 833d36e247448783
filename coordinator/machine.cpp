#include "coordinator/machine.hpp"

#include <cmath>
#include <iterator>

namespace anchorage::coordinator {

double Machine::flops_of_pass(std::int64_t tokens) const {
  if (flops_by_tokens.empty()) return flops;
  const auto above = flops_by_tokens.lower_bound(tokens);
  if (above == flops_by_tokens.begin()) return above->second;
  const auto below = std::prev(above);
  if (above == flops_by_tokens.end()) return below->second;
  const auto steps = [&](std::int64_t from, std::int64_t to) {
    return std::log(static_cast<double>(to) / static_cast<double>(from));
  };
  return std::lerp(below->second, above->second, steps(below->first, tokens) / steps(below->first, above->first));
}

Machine Machine::cpu(int threads) {
  return {.is_gpu = false,
          .memory_bytes = 8e9,
          .flops = 65e9 * threads,
          .flops_by_tokens = {},
          .double_flops = 14e9 * threads,
          .memory_rate = 4e9,
          .link_bytes = 2e9,
          .link_latency = 50e-6,
          .runtime_bytes = 190'000'000,
          .kernel_bytes = 170'000'000,
          .exchange_bytes = 5'000'000};
}

}  // namespace anchorage::coordinator
