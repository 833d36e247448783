// Reads the lines of a text, from a text file or from records: a corpus, or held-out text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

namespace anchorage::io {

struct TextLine {
  std::string text;   // without its end
  std::string where;  // "corpus.txt, line 12", "corpus.json, index 11"
};

// UTF-8, with or without byte order mark; blank lines do not count. In a file `*.jsonl` or `*.json` the texts
// are the records' fields `text`, one after the other; a `.json` is read into memory, the others are
// streamed.
class TextLines {
 public:
  // Throws UserError where there is no such file.
  explicit TextLines(const std::filesystem::path& path);
  TextLines(const TextLines&) = delete;
  TextLines& operator=(const TextLines&) = delete;

  // Returns the next line; nothing after the last one. Throws UserError with file and line, or index, for
  // bytes that are not UTF-8, a zero byte, and a record without `text`.
  std::optional<TextLine> next();

 private:
  std::optional<TextLine> next_plain();  // a line of a text file

  std::string path_;
  std::ifstream file_;
  std::int64_t number_ = 0;                             // of the last plain line, from 1
  std::function<std::optional<TextLine>()> next_text_;  // the next text of the file
  TextLine text_;                                       // the current one
  std::size_t place_ = 0;                               // where the next line begins in text_
};

}  // namespace anchorage::io
