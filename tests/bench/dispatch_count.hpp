// Counts what torch is asked for while it exists, by its own RecordFunction, so on any machine: operations, views
// with them, but not those that an operation calls in turn; and the flops of matrix products, from the shapes of
// their inputs.
#pragma once

#include <ATen/record_function.h>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace anchorage::bench {

class DispatchCount {
 public:
  DispatchCount() {
    operations_ = 0;
    flops_ = 0;
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(&begin, &end).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  }
  ~DispatchCount() { at::removeCallback(handle_); }
  DispatchCount(const DispatchCount&) = delete;
  DispatchCount& operator=(const DispatchCount&) = delete;

  std::int64_t operations() const { return operations_; }
  double flops() const { return static_cast<double>(flops_); }  // of products: 2 a multiply-add

 private:
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    if (is_node(function)) return nullptr;
    if (depth_++ == 0) ++operations_;
    const std::string_view name = function.name();
    // mm(A, B), bmm(A, B) and addmm(bias, A, B): 2 |A| columns of B.
    const bool biased = name == "aten::addmm";
    if (name != "aten::mm" && name != "aten::bmm" && !biased) return nullptr;
    const auto inputs = function.inputs();
    const auto& left = inputs[biased ? 1 : 0].toTensor();
    flops_ += 2 * left.numel() * inputs[biased ? 2 : 1].toTensor().size(-1);
    return nullptr;
  }

  static void end(const at::RecordFunction& function, at::ObserverContext*) {
    if (!is_node(function)) --depth_;
  }

  // The engine's own record of a node of the graph, inside of which are the node's operations.
  static bool is_node(const at::RecordFunction& function) {
    return std::string_view(function.name()).starts_with("autograd::");
  }

  // Callbacks are functions without an object; one count at a time.
  inline static std::atomic<std::int64_t> operations_, flops_;
  inline static thread_local int depth_ = 0;
  at::CallbackHandle handle_;
};

}  // namespace anchorage::bench
