// A file descriptor for the length of a scope.
#pragma once

#include <unistd.h>

namespace anchorage::io {

class FileDescriptor {
 public:
  // Takes over the result of ::open, also the negative one of a failure.
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace anchorage::io
