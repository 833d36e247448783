// A group's children.
#include <algorithm>

#include "io/hdf5/file.hpp"
#include "io/hdf5/handle.hpp"

namespace anchorage::io::hdf5 {

Group::Group(std::shared_ptr<Handle> handle, std::string name)
    : handle_(std::move(handle)), name_(std::move(name)) {}

bool Group::contains(const std::string& name) const {
  const auto lock = lock_library();
  return checked(H5Lexists(handle_->id(), name.c_str(), H5P_DEFAULT), Doing::reading, "look for an object",
                 name_ + "/" + name) > 0;
}

std::vector<std::string> Group::children() const {
  const auto lock = lock_library();
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  checked(H5Literate(handle_->id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names), Doing::reading,
          "list a group", name_);
  std::ranges::sort(names);
  return names;
}

Group Group::create_group(const std::string& name) {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  const hid_t id = checked(H5Gcreate2(handle_->id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                           Doing::writing, "create a group", where);
  return {std::make_shared<Handle>(id), where};
}

Group Group::group(const std::string& name) const {
  const auto lock = lock_library();
  const std::string where = name_ + "/" + name;
  const hid_t id =
      checked(H5Gopen2(handle_->id(), name.c_str(), H5P_DEFAULT), Doing::reading, "open a group", where);
  return {std::make_shared<Handle>(id), where};
}

}  // namespace anchorage::io::hdf5
