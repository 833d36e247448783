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

// Records with the field `text`, in the order of the file; other fields do not matter. Throws UserError on the
// first record that lacks it or has fewer than two words in it.
std::vector<Passage> read_lambada(const std::filesystem::path& path);

}  // namespace anchorage::io
