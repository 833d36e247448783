#include "io/evaluation/known_facts.hpp"

#include "io/evaluation/question_records.hpp"

namespace anchorage::io {

std::vector<KnownFact> read_known_facts(const std::filesystem::path& path) {
  return questions_in(path, "a fact with 'prompt' and 'attribute'", [](const nlohmann::json& fact) {
    return KnownFact{.prompt = required_prompt(fact, "prompt"), .attribute = required_text(fact, "attribute")};
  });
}

}  // namespace anchorage::io
