// Finds a model's tokenizer.json; errors say what to do where the tokenizer has another form.
#pragma once

#include <filesystem>

namespace anchorage::io {

// Returns `path` itself, or the tokenizer.json in it where it is a directory. Errors: UserError where there
// is no such file; it names the form in which the directory has a tokenizer, and how to convert it to a
// tokenizer.json.
std::filesystem::path tokenizer_file(const std::filesystem::path& path);

}  // namespace anchorage::io
