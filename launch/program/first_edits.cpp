#include "launch/program/first_edits.hpp"

#include "io/edits/edit_ids.hpp"
#include "io/log.hpp"

namespace anchorage::launch {

io::EditsFile read_first_edits(const std::string& path, const std::optional<std::string>& format,
                               std::int64_t limit) {
  io::EditsFile file = io::read_edits(path, io::format_named(format.value_or("auto")));
  io::set_aside_shared_ids(file);
  if (limit > 0 && std::ssize(file.edits) > limit) {
    file.edits.resize(static_cast<std::size_t>(limit));
    file.places.resize(file.edits.size());
  }
  return file;
}

void log_rejected(const io::EditsFile& file) {
  for (const io::Rejected& record : file.rejected) spdlog::warn("{} is set aside: {}", record.where, record.reason);
}

}  // namespace anchorage::launch
