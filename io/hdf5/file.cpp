#include "io/hdf5/file.hpp"

#include <unistd.h>
#include <atomic>
#include <cerrno>

#include "io/error.hpp"
#include "io/files/lfs_pointer.hpp"
#include "io/hdf5/handle.hpp"

namespace anchorage::io::hdf5 {
namespace {

constexpr std::size_t memory_increment = std::size_t{4} << 20;  // bytes that a file in memory grows by, at least

std::shared_ptr<Handle> open_root(const Handle& file, Doing doing, const std::string& name) {
  return std::make_shared<Handle>(
      checked(H5Gopen2(file.id(), "/", H5P_DEFAULT), doing, "open the root group", name));
}

std::shared_ptr<Handle> create_in_memory(const std::string& name, std::size_t data_bytes) {
  const auto lock = lock_library();
  const Handle access(checked(H5Pcreate(H5P_FILE_ACCESS), Doing::writing, "set up HDF5", name));
  constexpr hbool_t backed_by_a_file = 0;
  static std::atomic<int> count = 0;  // HDF5 treats two files in memory with one name as the same
  const std::string own_name = fmt::format("{}#{}", name, count++);
  // The first of what it grows by has all data, and what the library adds: growing a large block copies it.
  const std::size_t increment = memory_increment + data_bytes;
  checked(H5Pset_fapl_core(access.id(), increment, backed_by_a_file), Doing::writing, "set up HDF5", name);
  return std::make_shared<Handle>(checked(H5Fcreate(own_name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()),
                                          Doing::writing, "create an HDF5 file in memory", name));
}

}  // namespace

std::string library_version() {
  const auto lock = lock_library();
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  checked(H5get_libversion(&major, &minor, &release), Doing::reading, "get the version", "HDF5");
  return fmt::format("{}.{}.{}", major, minor, release);
}

File File::open(const std::filesystem::path& path) {
  const std::string name = path.string();
  if (::access(name.c_str(), R_OK) != 0) {
    if (errno != ENOENT) throw SystemError::from_errno(errno, "open for reading", name);
    throw UserError({.expected = "an HDF5 file", .found = "no file", .where = name, .remedy = "check the path"});
  }
  refuse_lfs_pointer(path);
  const auto lock = lock_library();
  const Handle access(checked(H5Pcreate(H5P_FILE_ACCESS), Doing::reading, "set up HDF5", name));
  constexpr hbool_t use_locks = 0, ignore_when_disabled = 1;
  checked(H5Pset_file_locking(access.id(), use_locks, ignore_when_disabled), Doing::reading, "set up HDF5", name);
  const Handle file(
      checked(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.id()), Doing::reading, "open an HDF5 file", name));
  return File(Group(open_root(file, Doing::reading, name), name + ":"));
}

NewFile::NewFile(const std::filesystem::path& path, std::size_t data_bytes)
    : name_(path.string()), file_(create_in_memory(name_, data_bytes)), root_(nullptr, name_ + ":") {
  const auto lock = lock_library();
  root_.handle_ = open_root(*file_, Doing::writing, name_);
}

std::span<const std::byte> NewFile::bytes() {
  const auto lock = lock_library();
  checked(H5Fflush(file_->id(), H5F_SCOPE_GLOBAL), Doing::writing, "complete an HDF5 file in memory", name_);
  const ssize_t size =
      checked(H5Fget_file_image(file_->id(), nullptr, 0), Doing::writing, "measure an HDF5 file in memory", name_);
  void* address = nullptr;  // address of the core driver's pointer to its memory
  checked(H5Fget_vfd_handle(file_->id(), H5P_DEFAULT, &address), Doing::writing, "reach an HDF5 file in memory",
          name_);
  return {*static_cast<const std::byte**>(address), static_cast<std::size_t>(size)};
}

}  // namespace anchorage::io::hdf5
