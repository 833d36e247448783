#include "io/edits/reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/edits/word_boundary.hpp"
#include "io/error.hpp"

namespace anchorage::io {
namespace {

using nlohmann::json;

std::string fields_of(const json& record) {
  if (!record.is_object()) return std::string(kind_of(record));
  std::vector<std::string> fields;
  for (const auto& [key, value] : record.items()) fields.push_back(key);
  return fmt::format("the fields {}", fmt::join(fields, ", "));
}

[[noreturn]] void refuse_unclear(const Record& record) {
  throw UserError({.expected = "records of one known format",
                   .found = fields_of(std::get<json>(record.content)),
                   .where = record.where,
                   .remedy = "name the format (--format); the known ones are: " + known_formats()});
}

Format format_of(const std::vector<Record>& records) {
  const Record* readable = nullptr;
  for (const Record& record : records) {
    const json* content = std::get_if<json>(&record.content);
    if (content == nullptr) continue;
    const std::vector<Format> formats = formats_of(*content);
    if (formats.size() == 1) return formats.front();
    if (formats.size() > 1) refuse_unclear(record);
    if (readable == nullptr) readable = &record;
  }
  check(readable != nullptr, "a file of which no record can be read was not refused");
  refuse_unclear(*readable);
}

void remark_on(const Edit& edit, const std::string& where, EditsFile& file) {
  const auto word = longer_word(edit.prompt, edit.subject);
  if (!word) return;
  file.remarks.push_back(
      {.where = where, .text = fmt::format("subject '{}' is a part of '{}' in its prompt", edit.subject, *word)});
}

void read_record(const Record& record, EditsFile& file) {
  if (const auto* unreadable = std::get_if<Unreadable>(&record.content)) {
    file.rejected.push_back({.where = record.where, .reason = unreadable->reason});
    return;
  }
  const json& content = std::get<json>(record.content);
  std::string where = record.where;
  try {
    const std::size_t count = edit_count(file.format, content);
    for (std::size_t i = 0; i < count; ++i) {
      if (file.format == Format::mquake) where = fmt::format("{}, rewrite {}", record.where, i);
      try {
        file.edits.push_back(edit_of(file.format, content, i));
        remark_on(file.edits.back(), where, file);
        file.places.push_back(where);
      } catch (const BadRecord& bad) {
        file.rejected.push_back({.where = where, .reason = bad.what()});
      }
    }
  } catch (const BadRecord& bad) {
    file.rejected.push_back({.where = where, .reason = bad.what()});
  }
}

EditsFile edits_in(const std::vector<Record>& records, std::optional<Format> forced) {
  EditsFile file{.format = forced ? *forced : format_of(records), .edits = {}, .rejected = {}};
  for (const Record& record : records) read_record(record, file);
  return file;
}

}  // namespace

EditsFile read_edits(const std::filesystem::path& path, std::optional<Format> forced) {
  return edits_in(read_records(path), forced);
}

EditsFile read_edits(std::string_view text, const std::string& name, std::optional<Format> forced) {
  return edits_in(read_records(text, name), forced);
}

void set_aside(EditsFile& file, const std::function<std::optional<std::string>(std::size_t)>& reason_of) {
  std::vector<std::optional<std::string>> reasons;
  for (std::size_t i = 0; i < file.edits.size(); ++i) reasons.push_back(reason_of(i));
  std::vector<Edit> edits = std::exchange(file.edits, {});
  std::vector<std::string> places = std::exchange(file.places, {});
  for (std::size_t i = 0; i < edits.size(); ++i) {
    if (reasons[i]) {
      file.rejected.push_back({.where = std::move(places[i]), .reason = std::move(*reasons[i])});
      continue;
    }
    file.edits.push_back(std::move(edits[i]));
    file.places.push_back(std::move(places[i]));
  }
}

}  // namespace anchorage::io
