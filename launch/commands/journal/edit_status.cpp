#include "launch/commands/journal/edit_status.hpp"

#include <fmt/format.h>

namespace anchorage::launch {

std::string status_of(const coordinator::RecordedEdit& edit) {
  if (edit.state == io::EditState::set_aside) return "set aside";
  if (edit.removed_in) return fmt::format("removed in {}", *edit.removed_in);
  if (edit.superseded_in) return fmt::format("superseded in {}", *edit.superseded_in);
  return "live";
}

}  // namespace anchorage::launch
