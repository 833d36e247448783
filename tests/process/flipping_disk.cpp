// For export_test, loaded before the program: a disk that keeps other bytes than it was given. When a file with the
// name in ANCHORAGE_FLIPPED that was open for writing is closed, bits in its middle are flipped.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace {

int true_close(int descriptor) {
  using Function = int (*)(int);
  static const auto function = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "close"));
  return function(descriptor);
}

std::string path_of(int descriptor) {
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  return {path.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0))};
}

void flip_middle(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat status {};
  if (file < 0 || ::fstat(file, &status) != 0) std::abort();
  std::array<unsigned char, 512> bytes{};
  const ssize_t count = ::pread(file, bytes.data(), bytes.size(), status.st_size / 2);
  for (unsigned char& byte : bytes) byte ^= 1U;
  if (::pwrite(file, bytes.data(), static_cast<std::size_t>(count), status.st_size / 2) != count) std::abort();
  true_close(file);
}

}  // namespace

extern "C" int close(int descriptor) {
  const char* name = std::getenv("ANCHORAGE_FLIPPED");
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (name == nullptr || flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return true_close(descriptor);
  const std::string path = path_of(descriptor);
  const int result = true_close(descriptor);
  if (path.ends_with(std::string("/") + name)) flip_middle(path);
  return result;
}
