#include "io/tokenizer/tokenizer_file.hpp"

#include <string>
#include <vector>

#include "io/error.hpp"

namespace anchorage::io {
namespace {

namespace fs = std::filesystem;

// The files of other tokenizer formats that transformers converts to tokenizer.json.
const std::vector<std::vector<std::string>>& other_forms() {
  static const std::vector<std::vector<std::string>> forms = {
      {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"tekken.json"}};
  return forms;
}

// Returns "vocab.json and merges.txt", say; empty where the directory has none of these formats.
std::string other_form_in(const fs::path& directory) {
  for (const auto& files : other_forms()) {
    std::string found;
    for (const std::string& file : files) {
      if (!fs::exists(directory / file)) break;
      found += (found.empty() ? "" : " and ") + file;
      if (&file == &files.back()) return found;
    }
  }
  return "";
}

}  // namespace

fs::path tokenizer_file(const fs::path& path) {
  if (!fs::is_directory(path)) {
    if (fs::exists(path)) return path;
    throw UserError({.expected = "a tokenizer.json, or the directory that has one",
                     .found = "none",
                     .where = path.string(),
                     .remedy = "check the path"});
  }
  fs::path file = path / "tokenizer.json";
  if (fs::exists(file)) return file;
  const std::string other = other_form_in(path);
  throw UserError({.expected = "the file tokenizer.json",
                   .found = other.empty() ? "none" : other,
                   .where = path.string(),
                   .remedy = other.empty()
                                 ? "copy the one that came with the model"
                                 : fmt::format("make one of it with transformers: "
                                               "AutoTokenizer.from_pretrained(\"{0}\").save_pretrained(\"{0}\")",
                                               path.string())});
}

}  // namespace anchorage::io
