#include "io/files/shared_file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/file_descriptor.hpp"
#include "io/files/mapped_file.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

bool reflink(const fs::path& from, const fs::path& to) {
  const FileDescriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.get() < 0) throw SystemError::from_errno(errno, "open a file", from.string());
  AtomicFile clone(to);
  {
    const FileDescriptor target(::open(clone.temporary_path().c_str(), O_WRONLY | O_CLOEXEC));
    if (target.get() < 0 || ::ioctl(target.get(), FICLONE, source.get()) != 0) return false;
  }
  clone.commit();
  return true;
}

bool hard_link(const fs::path& from, const fs::path& to) {
  // Of a symbolic link to a file, as a download cache has them, the file: a second link would end where the first
  // does.
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) != 0) return false;
  sync_directory(to.parent_path());
  return true;
}

}  // namespace

std::string_view name_of(Placement placement) {
  constexpr std::array<std::string_view, 4> names = {"reflinked", "hard-linked", "copied", "written"};
  return names.at(static_cast<std::size_t>(placement));
}

void copy_whole_file(const fs::path& from, const fs::path& to) {
  const MappedFile file(from);
  write_file_atomically(to, std::array{file.bytes()});
}

Placement share_file(const fs::path& from, const fs::path& to) {
  if (reflink(from, to)) return Placement::reflinked;
  if (hard_link(from, to)) return Placement::hard_linked;
  copy_whole_file(from, to);
  return Placement::copied;
}

}  // namespace anchorage::io
