// LAMBADA (arXiv 1606.06031): passages whose last word can only be guessed from the whole of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct Passage {
  std::string beginning;  // without the last word and the white space before it
  std::string last_word;
};

// Reads records with the field `text`, in the order of the file; ignores other fields. Throws UserError on
// the first record that lacks it or whose text has fewer than two words.
std::vector<Passage> read_lambada(const std::filesystem::path& path);

}  // namespace anchorage::io
