#include "worker/editing/values/context_prefixes.hpp"

#include <algorithm>
#include <array>

#include "worker/model/embedding_rows.hpp"
#include "worker/model/generate.hpp"

namespace anchorage::worker {

std::vector<std::string> generate_context_prefixes(const Transformer& model, const io::Tokenizer& tokenizer,
                                                   std::int64_t count, std::int64_t tokens, std::uint64_t seed) {
  constexpr std::array first_words = {"The", "Therefore", "Because", "I", "You"};
  std::vector<TokenIds> prompts;
  for (std::int64_t i = 0; i < count; ++i) {
    prompts.push_back(tokenizer.encode(first_words[static_cast<std::size_t>(i) % first_words.size()],
                                       {.add_special_tokens = true}));
    require_rows(prompts.back(), tokenizer, model.config.vocabulary, "the beginning of a context prefix");
  }
  const auto continuations =
      generate(model, prompts, {.max_new_tokens = tokens, .temperature = 1, .top_k = 5, .seed = seed});
  std::vector<std::string> prefixes;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    TokenIds whole = prompts[i];
    whole.insert(whole.end(), continuations[i].begin(), continuations[i].end());
    std::string text = tokenizer.decode(whole, {.skip_special_tokens = true});
    // Keeps one line, and no braces, which would read as the place of a subject.
    std::ranges::replace_if(
        text, [](char c) { return c == '\n' || c == '\r' || c == '{' || c == '}'; }, ' ');
    prefixes.push_back(std::move(text));
  }
  return prefixes;
}

}  // namespace anchorage::worker
