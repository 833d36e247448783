// Reads a file of edits in any of the formats of io/edits/formats.hpp.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/edits/edit.hpp"
#include "io/edits/formats.hpp"

namespace anchorage::io {

// A record that cannot be used: set aside and counted, or an error under --strict; the caller decides.
struct Rejected {
  std::string where;   // "edits.jsonl, line 12", "edits.json, index 11", "mquake.json, index 11, rewrite 2"
  std::string reason;  // "field 'target' is empty"
};

// What is odd about a record that is used anyway.
struct Remark {
  std::string where;
  std::string text;  // "subject 'Iran' is a part of 'Iranian' in its prompt"
};

struct EditsFile {
  Format format;
  std::vector<Edit> edits;  // in the order of the file; ids may repeat where the file repeats a fact
  std::vector<Rejected> rejected;
  std::vector<Remark> remarks{};
  std::vector<std::string> places{};  // of each edit, in the form of Rejected::where
};

// Reads the file in the format `forced`, or in that of the first record whose fields identify a format.
// Throws UserError when the file is missing, broken as a whole or empty, and when its format is not clear.
EditsFile read_edits(const std::filesystem::path& path, std::optional<Format> forced = std::nullopt);
// The same of a text; `name` stands for the file in messages.
EditsFile read_edits(std::string_view text, const std::string& name, std::optional<Format> forced = std::nullopt);

// Sets aside the edits, with their places, for which `reason_of` (called with an edit's number in the file)
// gives a reason.
void set_aside(EditsFile& file, const std::function<std::optional<std::string>(std::size_t)>& reason_of);

}  // namespace anchorage::io
