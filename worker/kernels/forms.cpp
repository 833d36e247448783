#include "worker/kernels/forms.hpp"

#include <array>
#include <string_view>
#include <utility>

#include "io/error.hpp"

namespace anchorage::worker::kernels {
namespace {

constexpr std::array<std::pair<std::string_view, bool Forms::*>, 6> kernels{{{"block", &Forms::block},
                                                                             {"norm", &Forms::norm},
                                                                             {"gate", &Forms::gate},
                                                                             {"rotation", &Forms::rotation},
                                                                             {"attention", &Forms::attention},
                                                                             {"loss", &Forms::loss}}};

}  // namespace

std::string kernel_names() {
  std::string names;
  for (const auto& [name, form] : kernels) names += std::string(name) + ", ";
  return names + "or all";
}

Forms all_but(std::span<const std::string> references, const std::string& where) {
  Forms forms;
  for (const std::string& reference : references) {
    bool found = false;
    for (const auto& [name, form] : kernels) {
      if (reference != name && reference != "all") continue;
      forms.*form = false;
      found = true;
    }
    if (!found) {
      throw io::UserError(
          {.expected = "kernels by name: " + kernel_names(), .found = reference, .where = where, .remedy = ""});
    }
  }
  return forms;
}

}  // namespace anchorage::worker::kernels
