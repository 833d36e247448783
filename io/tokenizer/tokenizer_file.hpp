// Where a model's tokenizer.json is, and what to do where it is in another form.
#pragma once

#include <filesystem>

namespace anchorage::io {

// `path` itself, or the tokenizer.json in it where it is a directory. Errors: UserError where there is no such
// file; it says in which other form the directory has a tokenizer, and how to make a tokenizer.json of it.
std::filesystem::path tokenizer_file(const std::filesystem::path& path);

}  // namespace anchorage::io
