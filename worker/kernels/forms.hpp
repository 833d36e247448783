// Which of two forms of each kernel a model runs with.
#pragma once

#include <span>
#include <string>

namespace anchorage::worker::kernels {

// A kernel has a *reference* form, in torch's own operations, and a *fused* one, which does the same in one pass
// where the device and the dtype have it; elsewhere the reference runs. Their results differ by rounding alone.
struct Forms {
  bool block = true;  // a block as one node of autograd with its backward written out; otherwise as autograd finds
                      // it, all of it in references
  bool norm = true;
  bool gate = true;
  bool rotation = true;
  bool attention = true;
  bool loss = true;

  static Forms references() {
    return {.block = false, .norm = false, .gate = false, .rotation = false, .attention = false, .loss = false};
  }

  bool operator==(const Forms&) const = default;
};

// All fused but the kernels named: "block", "norm", "gate", "rotation", "attention", "loss"; "all" names each.
// Throws io::UserError for another name, which it says to be of `where`.
Forms all_but(std::span<const std::string> references, const std::string& where);

// The names, with "or" before the last.
std::string kernel_names();

}  // namespace anchorage::worker::kernels
