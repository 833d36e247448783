#include "worker/editing/method.hpp"

#include <array>

#include "io/error.hpp"

namespace anchorage::worker {

bool compresses(const Method& method, const io::Hparams& hparams) {
  return method.anchored && (!method.joint || hparams.anchors);
}

std::int64_t evaluations_of(const Method& method, const io::Hparams& hparams) {
  return compresses(method, hparams) ? hparams.eac_locate_steps + hparams.eac_compress_steps
                                     : hparams.v_num_grad_steps;
}

Method method_named(std::string_view name) {
  static const std::array methods = {
      Method{.name = "memit", .carries_keys = false, .anchored = false, .joint = false, .null_space = false},
      Method{.name = "memit_seq", .carries_keys = true, .anchored = false, .joint = false, .null_space = false},
      Method{.name = "eac", .carries_keys = true, .anchored = true, .joint = false, .null_space = false},
      Method{.name = "alphaedit", .carries_keys = true, .anchored = false, .joint = false, .null_space = true},
      Method{.name = "b-eac", .carries_keys = true, .anchored = true, .joint = true, .null_space = false},
  };
  std::string known;
  for (const Method& method : methods) {
    if (method.name == name) return method;
    known += (known.empty() ? "" : ", ") + method.name;
  }
  throw io::UserError({.expected = "a method out of " + known,
                       .found = fmt::format("'{}'", name),
                       .where = "--method",
                       .remedy = ""});
}

}  // namespace anchorage::worker
