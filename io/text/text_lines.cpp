#include "io/text/text_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "io/edits/container.hpp"
#include "io/edits/fields.hpp"
#include "io/error.hpp"
#include "io/files/lfs_pointer.hpp"
#include "io/text/json_lines.hpp"
#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {
namespace {

std::string text_of_record(const nlohmann::json& record, const std::string& where) {
  const bool has_text = record.is_object() && record.contains("text") && record["text"].is_string();
  if (has_text) return record["text"].get<std::string>();
  throw UserError({.expected = "a record with a text in 'text'",
                   .found = record.is_object() ? "none" : std::string(kind_of(record)),
                   .where = where,
                   .remedy = "fix the record, or give the file as a text file, *.txt"});
}

std::function<std::optional<TextLine>()> texts_of_lines(std::ifstream& file, const std::string& path) {
  const Diagnostic diagnostic{
      .expected = "a JSON record on each line", .found = {}, .where = path, .remedy = "fix that line"};
  return [lines = JsonLines(file, diagnostic)]() mutable -> std::optional<TextLine> {
    const auto line = lines.next();
    if (!line) return std::nullopt;
    return TextLine{text_of_record(line->value, line->where), line->where};
  };
}

std::function<std::optional<TextLine>()> texts_of_records(const std::string& path) {
  const auto records = std::make_shared<const std::vector<Record>>(read_records(path));
  return [records, place = std::size_t{0}]() mutable -> std::optional<TextLine> {
    if (place == records->size()) return std::nullopt;
    const Record& record = (*records)[place++];
    if (const auto* content = std::get_if<nlohmann::json>(&record.content))
      return TextLine{text_of_record(*content, record.where), record.where};
    throw UserError({.expected = "a record with a text in 'text'",
                     .found = std::get<Unreadable>(record.content).reason,
                     .where = record.where,
                     .remedy = "fix the record"});
  };
}

}  // namespace

TextLines::TextLines(const std::filesystem::path& path) : path_(path.string()), file_(path, std::ios::binary) {
  if (!file_ || std::filesystem::is_directory(path)) {
    throw UserError(
        {.expected = "a text file", .found = "none that can be read", .where = path_, .remedy = "check the path"});
  }
  if (path.extension() == ".jsonl") {
    next_text_ = texts_of_lines(file_, path_);
  } else if (path.extension() == ".json") {
    next_text_ = texts_of_records(path_);
  } else {
    next_text_ = [this] { return next_plain(); };
  }
}

std::optional<TextLine> TextLines::next() {
  while (true) {
    if (place_ >= text_.text.size()) {
      auto text = next_text_();
      if (!text) return std::nullopt;
      text_ = std::move(*text);
      place_ = 0;
    }
    const std::size_t end = std::min(text_.text.find('\n', place_), text_.text.size());
    std::string line = text_.text.substr(place_, end - place_);
    place_ = end + 1;
    if (line.find_first_not_of(" \t\r") != line.npos) return TextLine{std::move(line), text_.where};
  }
}

std::optional<TextLine> TextLines::next_plain() {
  std::string line;
  if (!std::getline(file_, line)) return std::nullopt;
  if (++number_ == 1) {
    refuse_lfs_pointer(line, path_);
    if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
  }
  std::string where = fmt::format("{}, line {}", path_, number_);
  const std::size_t place = std::min(first_invalid_utf8(line).value_or(line.size()), line.find('\0'));
  if (place >= line.size()) return TextLine{std::move(line), std::move(where)};
  throw UserError({.expected = "text in UTF-8",
                   .found = fmt::format("the byte 0x{:02x} at byte {} of the line",
                                        static_cast<unsigned char>(line[place]), place),
                   .where = where,
                   .remedy = "save the file as UTF-8, or take the line out"});
}

}  // namespace anchorage::io
