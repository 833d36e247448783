// For the sources of io/hdf5 alone: HDF5's identifiers, its lock and its errors.
#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>

namespace anchorage::io::hdf5 {

// Takes the lock that every function calling HDF5 must hold. A thread's first call also stops HDF5 from
// printing errors.
std::unique_lock<std::recursive_mutex> lock_library();

enum class Doing { reading, writing };

// Throws UserError (reading) or SystemError (writing) with HDF5's error stack, outermost call first.
[[noreturn]] void fail(Doing doing, const std::string& operation, const std::string& where);

// Throws UserError for a text with a NUL inside, since HDF5's text ends there.
void refuse_nul(const std::string& text, const std::string& where);

// HDF5 reports failure by a negative result.
template <class Result>
Result checked(Result result, Doing doing, const std::string& operation, const std::string& where) {
  if (result < 0) fail(doing, operation, where);
  return result;
}

// Owned identifier of any kind. Created under the lock; takes it to close.
class Handle {
 public:
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  hid_t id() const { return id_; }

 private:
  hid_t id_;
};

}  // namespace anchorage::io::hdf5
