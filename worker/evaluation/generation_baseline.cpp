#include "worker/evaluation/generation_baseline.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"
#include "worker/evaluation/edit_generations.hpp"

namespace anchorage::worker {
namespace {

using nlohmann::json;

// Refuses the report with what is wrong.
class Refusal {
 public:
  explicit Refusal(const std::filesystem::path& report)
      : diagnostic_{.expected = "a report of 'anchorage eval --json --generate'",
                    .found = {},
                    .where = report.string(),
                    .remedy =
                        "make it with 'anchorage eval MODEL --json --generate' and the same --edits, --limit, "
                        "--chat-template and --max-new-tokens"} {}

  const io::Diagnostic& diagnostic() const { return diagnostic_; }

  [[noreturn]] void operator()(const std::string& expected, const std::string& found) const {
    io::Diagnostic diagnostic = diagnostic_;
    if (!expected.empty()) diagnostic.expected = expected;
    diagnostic.found = found;
    throw io::UserError(diagnostic);
  }

 private:
  io::Diagnostic diagnostic_;
};

void require_same_edits(const json& texts, std::span<const io::Edit> edits, const Refusal& refuse) {
  if (texts.size() != edits.size())
    refuse(fmt::format("generations of the same {} edits", edits.size()), fmt::format("{} edits", texts.size()));
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const std::string& id = texts[i].at("id").get_ref<const std::string&>();
    if (id == edits[i].id) continue;
    refuse(fmt::format("generations of the same edits, number {} (from 0) being '{}'", i, edits[i].id),
           fmt::format("'{}'", id));
  }
}

std::vector<std::optional<std::string>> texts_in(const json& list, std::size_t count, const Refusal& refuse) {
  if (list.size() != count)
    refuse(fmt::format("{} neighborhood texts of an edit", count), fmt::format("{}", list.size()));
  std::vector<std::optional<std::string>> texts;
  for (const json& text : list)
    texts.push_back(text.is_null() ? std::nullopt : std::optional(text.get<std::string>()));
  return texts;
}

}  // namespace

GenerationBaseline::GenerationBaseline(const std::filesystem::path& report, std::span<const io::Edit> edits,
                                       std::int64_t max_new_tokens) {
  const Refusal refuse(report);
  const io::MappedFile file(report);
  const json document = io::parse_strict_json(io::text_of(file.bytes()), refuse.diagnostic());
  if (!document.is_object() || !document.contains("generation")) refuse("", "a file without generations");
  try {
    const json& generation = document.at("generation");
    require_same_edits(generation.at("texts"), edits, refuse);
    if (generation.at("prompts_digest") != digest_of_prompts(edits))
      refuse("generations after the same prompts", "others for the same edits");
    if (const std::int64_t before = generation.at("max_new_tokens"); before != max_new_tokens)
      refuse(fmt::format("generations of at most {} new tokens", max_new_tokens),
             fmt::format("at most {}", before));
    for (std::size_t i = 0; i < edits.size(); ++i)
      neighborhood_.push_back(
          texts_in(generation.at("texts")[i].at("neighborhood"), edits[i].neighborhood.size(), refuse));
  } catch (const json::exception& error) {
    refuse("", fmt::format("generations that cannot be read: {}", error.what()));
  }
}

}  // namespace anchorage::worker
