// The lines of a text, from a text file or from records that have it: a corpus, or text that is held out.
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

// UTF-8, with or without byte order mark; blank lines do not count. Of a file `*.jsonl`, and of a `*.json`, the
// texts are the records' fields `text`, one after the other; a `.json` is taken into memory, the others are
// streamed.
class TextLines {
 public:
  // UserError where there is no such file.
  explicit TextLines(const std::filesystem::path& path);
  TextLines(const TextLines&) = delete;
  TextLines& operator=(const TextLines&) = delete;

  // The next line; nothing after the last one. UserError with file and line, or index, for bytes
  // that are not UTF-8, a zero byte, and a record without `text`.
  std::optional<TextLine> next();

 private:
  std::optional<TextLine> next_plain();  // a line of a text file

  std::string path_;
  std::ifstream file_;
  std::int64_t number_ = 0;                             // of the last plain line, from 1
  std::function<std::optional<TextLine>()> next_text_;  // of the file's
  TextLine text_;                                       // the one current
  std::size_t place_ = 0;                               // in it, where the next line begins
};

}  // namespace anchorage::io
