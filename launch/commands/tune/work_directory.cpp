#include "launch/commands/tune/work_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"
#include "launch/program/broadcast_text.hpp"

namespace anchorage::launch {
namespace {

nlohmann::json read(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return io::parse_strict_json(io::text_of(file.bytes()),
                               {.expected = "a result of 'anchorage tune'",
                                .found = {},
                                .where = path.string(),
                                .remedy = "remove the file; what it held is computed again"});
}

void write(const std::filesystem::path& path, const nlohmann::json& document) {
  io::write_file_atomically(path, document.dump(2) + "\n");
}

// Whether a directory that has no inputs yet can be taken: it is empty, or an earlier call ended as it began.
bool can_be_taken(const std::filesystem::path& path) {
  if (!exists(path)) return true;
  if (!is_directory(path)) return false;
  return std::ranges::all_of(std::filesystem::directory_iterator(path), [](const auto& entry) {
    const auto name = entry.path().filename();
    return name == io::run_lock_name || name == "trials" || io::is_temporary(entry.path());
  });
}

// A value of the inputs as a message shows it.
std::string shown(const nlohmann::json& inputs, const std::string& name) {
  if (!inputs.contains(name)) return "none";
  return inputs[name].is_string() ? inputs[name].get<std::string>() : inputs[name].dump();
}

void require_same(const nlohmann::json& before, const nlohmann::json& now, const std::filesystem::path& directory) {
  for (const auto* names : {&now, &before}) {
    for (const auto& [name, value] : names->items()) {
      if (before.contains(name) && now.contains(name) && before[name] == now[name]) continue;
      throw io::UserError(
          {.expected = fmt::format("the {} that the tuning there began with, {}", name, shown(before, name)),
           .found = shown(now, name),
           .where = directory.string(),
           .remedy = "put it back, or name another directory with --work"});
    }
  }
}

}  // namespace

WorkDirectory::WorkDirectory(std::filesystem::path path, const nlohmann::json& inputs,
                             sharding::HostCommunicator& ranks)
    : path_(std::move(path)), ranks_(ranks) {
  if (ranks_.rank() == 0) open(inputs);
}

void WorkDirectory::open(const nlohmann::json& inputs) {
  const bool is_new = !exists(file("inputs"));
  if (is_new && !can_be_taken(path_)) {
    throw io::UserError({.expected = "a new directory, or one that 'anchorage tune' works in",
                         .found = "something else",
                         .where = path_.string(),
                         .remedy = "name another one with --work"});
  }
  std::error_code failure;
  std::filesystem::create_directories(path_ / "trials", failure);
  if (failure) throw io::SystemError::from_errno(failure.value(), "create the directory", path_.string());
  lock_.emplace(path_);
  lock_->remove_file_at_end(true);
  io::remove_leftovers(path_);
  io::remove_leftovers(path_ / "trials");
  if (is_new) {
    write(file("inputs"), inputs);
  } else {
    require_same(read(file("inputs")), inputs, path_);
  }
}

nlohmann::json WorkDirectory::kept(const std::string& name, const std::function<nlohmann::json()>& compute,
                                   const std::function<void()>& on_found) const {
  const bool is_root = ranks_.rank() == 0;
  const bool is_there = is_root && exists(file(name));
  const std::string found =
      broadcast_text(is_there ? read(file(name)).dump() : "", ranks_, "broadcast what is kept");
  if (!found.empty()) {
    if (on_found) on_found();
    return nlohmann::json::parse(found);
  }
  const nlohmann::json computed = compute();
  if (is_root) write(file(name), computed);
  return nlohmann::json::parse(broadcast_text(is_root ? computed.dump() : "", ranks_, "broadcast results"));
}

}  // namespace anchorage::launch
