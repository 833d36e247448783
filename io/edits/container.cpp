#include "io/edits/container.hpp"

#include <fmt/format.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

constexpr std::string_view white_space = " \t\r\n";

std::string_view whole_text(const MappedFile& file) {
  std::string_view text = text_of(file.bytes());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

struct Line {
  std::size_t number;  // from 1
  std::string_view text;
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(white_space) != line.npos) lines.push_back({.number = number, .text = line});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool is_utf8(std::string_view line) {
  UErrorCode status = U_ZERO_ERROR;
  std::int32_t size = 0;
  u_strFromUTF8(nullptr, 0, &size, line.data(), static_cast<std::int32_t>(line.size()), &status);
  return status != U_INVALID_CHAR_FOUND;
}

std::variant<json, Unreadable> parse_line(std::string_view line) {
  if (!is_utf8(line)) return Unreadable{"bytes that are not UTF-8"};
  try {
    return parse_strict_json(line, "this line");
  } catch (const UserError& error) {
    return Unreadable{error.what()};
  }
}

std::vector<Record> elements_of(json document, const std::string& path) {
  if (document.is_object() && document.contains("records") && document["records"].is_array()) {
    document = json(std::move(document["records"]));
  }
  if (document.is_object()) document = json::array({std::move(document)});
  std::vector<Record> records;
  for (json& element : document) {
    records.push_back({.where = fmt::format("{}, index {}", path, records.size()), .content = std::move(element)});
  }
  return records;
}

std::vector<Record> records_on_lines(const std::vector<Line>& lines, const std::string& path) {
  std::vector<Record> records;
  for (const auto& [number, text] : lines) {
    records.push_back({.where = fmt::format("{}, line {}", path, number), .content = parse_line(text)});
  }
  return records;
}

bool all_unreadable(const std::vector<Record>& records) {
  return std::ranges::all_of(
      records, [](const Record& record) { return std::holds_alternative<Unreadable>(record.content); });
}

json parse_document(std::string_view text, const std::vector<Line>& lines, const std::string& path) {
  for (const auto& [number, line] : lines) {
    if (is_utf8(line)) continue;
    throw UserError({.expected = "text in UTF-8",
                     .found = "bytes that are not",
                     .where = fmt::format("{}, line {}", path, number),
                     .remedy = "save the file as UTF-8"});
  }
  return parse_strict_json(text, path);
}

}  // namespace

std::vector<Record> read_records(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string_view text = whole_text(file);
  const std::vector<Line> lines = lines_of(text);
  std::vector<Record> records;
  if (!lines.empty()) {
    const bool is_array = text[text.find_first_not_of(white_space)] == '[';
    const bool is_document = is_array || is_json(text);
    if (!is_document) records = records_on_lines(lines, path.string());
    // A file that is broken in every line is not JSON Lines: it gives one error, with the place.
    if (is_document || all_unreadable(records)) {
      records = elements_of(parse_document(text, lines, path.string()), path.string());
    }
  }
  if (records.empty()) {
    throw UserError({.expected = "at least one record",
                     .found = "none",
                     .where = path.string(),
                     .remedy = "give a file that holds some"});
  }
  return records;
}

}  // namespace anchorage::io
