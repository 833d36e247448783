#include "io/run/inbox.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/files/appended_text.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {

std::filesystem::path inbox_of(const std::filesystem::path& run) {
  return run / "inbox.jsonl";
}

Inbox::Inbox(std::filesystem::path path, Access access) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) return;
  std::string text;
  {
    const MappedFile file(path_);
    text = text_of(file.bytes());
  }
  const std::size_t whole = text.rfind('\n') + 1;  // 0 where there is no line
  std::size_t begin = 0;
  for (int number = 1; begin < whole; ++number) {
    const std::size_t end = text.find('\n', begin);
    take(text.substr(begin, end - begin), fmt::format("{}, line {}", path_.string(), number));
    begin = end + 1;
  }
  if (access == Access::append && whole < text.size()) std::filesystem::resize_file(path_, whole);
}

void Inbox::take(const std::string& line, const std::string& where) {
  try {
    const auto entry = parse_strict_json(line, "this line");
    if (entry.contains("edit")) {
      put(edit_from_json(entry.at("edit").dump(), where));
    } else {
      withdrawn_.insert(entry.at("withdraw").get<std::string>());
    }
  } catch (const std::exception& error) {
    throw UserError({.expected = "a line of a run's inbox",
                     .found = error.what(),
                     .where = where,
                     .remedy = "put the file back from a copy, or remove the line"});
  }
}

void Inbox::put(const Edit& edit) {
  if (known_.contains(edit.id)) std::erase_if(edits_, [&](const Edit& one) { return one.id == edit.id; });
  known_.insert(edit.id);
  withdrawn_.erase(edit.id);
  edits_.push_back(edit);
}

std::vector<Edit> Inbox::edits() const {
  std::vector<Edit> kept = edits_;
  std::erase_if(kept, [&](const Edit& edit) { return withdrawn_.contains(edit.id); });
  return kept;
}

void Inbox::write(const std::string& lines) {
  const bool is_new = !std::filesystem::exists(path_);
  append_durably(path_, lines);
  if (is_new) sync_directory(path_.parent_path());
}

void Inbox::add(std::span<const Edit> edits) {
  std::string lines;
  for (const Edit& edit : edits) lines += fmt::format("{{\"edit\": {}}}\n", to_json(edit));
  write(lines);
  for (const Edit& edit : edits) put(edit);
}

void Inbox::withdraw(std::span<const std::string> ids) {
  std::string lines;
  for (const std::string& id : ids) lines += nlohmann::json{{"withdraw", id}}.dump() + "\n";
  write(lines);
  withdrawn_.insert(ids.begin(), ids.end());
}

}  // namespace anchorage::io
