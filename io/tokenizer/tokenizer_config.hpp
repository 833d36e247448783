// tokenizer_config.json, which transformers reads beside tokenizer.json. Texts are encoded and decoded as the
// latter prescribes; what is read here is what the two disagree on.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/tokenizer/tokenizer.hpp"

namespace anchorage::io {

// Returns, each once, the tokens that tokenizer_config.json in `directory` adds (`added_tokens_decoder`, named
// special tokens such as `bos_token`, lists of further ones) and that are none of `tokenizer`: transformers takes
// each for one token, `tokenizer` for text like any other. Empty where there is no such file. Errors: UserError
// where it is not JSON.
std::vector<std::string> tokens_of_config_alone(const std::filesystem::path& directory, const Tokenizer& tokenizer);

}  // namespace anchorage::io
