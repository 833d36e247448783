// The records of a JSON file, whichever way it holds them: a JSON array, an object with a list `records`, a single
// object, or JSON Lines. UTF-8, with or without byte order mark; LF or CRLF; blank lines do not count.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace anchorage::io {

struct Unreadable {
  std::string reason;
};

struct Record {
  std::string where;                                 // "edits.jsonl, line 12" or "edits.json, index 11"
  std::variant<nlohmann::json, Unreadable> content;  // a broken line of JSON Lines spoils that line alone
};

// In the order of the file. Throws UserError when there is no such file, when it holds no record, and when it is
// broken as a whole.
std::vector<Record> read_records(const std::filesystem::path& path);
// The same of a text; `name` stands for the file in messages.
std::vector<Record> read_records(std::string_view text, const std::string& name);

}  // namespace anchorage::io
