#include "io/hdf5/handle.hpp"

#include "io/error.hpp"

namespace anchorage::io::hdf5 {
namespace {

std::string error_stack() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_DOWNWARD,
      [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
        auto& all = *static_cast<std::string*>(out);
        if (!all.empty()) all += ": ";
        all += fmt::format("{}: {}", entry->func_name, entry->desc);
        return 0;
      },
      &text);
  return text.empty() ? "an error that HDF5 does not explain" : text;
}

}  // namespace

std::unique_lock<std::recursive_mutex> lock_library() {
  static std::recursive_mutex mutex;
  std::unique_lock lock(mutex);
  // In a library built for threads each thread has its own error stack.
  thread_local const herr_t silenced = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  static_cast<void>(silenced);
  return lock;
}

void fail(Doing doing, const std::string& operation, const std::string& where) {
  const Diagnostic diagnostic{
      .expected = "to " + operation,
      .found = error_stack(),
      .where = where,
      .remedy =
          doing == Doing::reading ? "the file is damaged or was made by something else: take it from a copy" : ""};
  if (doing == Doing::reading) throw UserError(diagnostic);
  throw SystemError(diagnostic);
}

void refuse_nul(const std::string& text, const std::string& where) {
  const std::size_t place = text.find('\0');
  if (place == std::string::npos) return;
  throw UserError({.expected = "text without NUL characters",
                   .found = fmt::format("one after '{}'", text.substr(0, place)),
                   .where = where,
                   .remedy = "take it out"});
}

Handle::~Handle() {
  const auto lock = lock_library();
  H5Idec_ref(id_);
}

}  // namespace anchorage::io::hdf5
