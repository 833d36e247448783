#include "io/evaluation/lambada.hpp"

#include "io/evaluation/question_records.hpp"

namespace anchorage::io {
namespace {

Passage passage_of(const nlohmann::json& record) {
  const std::string text = required_text(record, "text");
  constexpr auto white_space = " \t\r\n";
  const auto gap = text.find_last_of(white_space);
  if (gap == text.npos) throw BadRecord("a single word");
  return {.beginning = text.substr(0, text.find_last_not_of(white_space, gap) + 1),
          .last_word = text.substr(gap + 1)};
}

}  // namespace

std::vector<Passage> read_lambada(const std::filesystem::path& path) {
  return questions_in(path, "a passage of several words in 'text'", passage_of);
}

}  // namespace anchorage::io
