#include "worker/statistics/subject_statistics.hpp"

#include <array>
#include <optional>
#include <span>
#include <utility>

#include "io/error.hpp"
#include "io/log.hpp"
#include "worker/statistics/key_sums.hpp"
#include "worker/statistics/last_keys.hpp"
#include "worker/stopwatch.hpp"

namespace anchorage::worker {
namespace {

// What a prompt may follow, without the period that is put after each (PromptBuilder).
constexpr std::array openings = {
    "In the report, it is said that this is known",
    "As the article explains, there is more to it",
    "It was a quiet morning, and nothing had changed",
    "Many people have written about this over the years",
    "The following is taken from a longer text",
    "There is one thing that should be said first",
    "Here is what the notes say about it",
    "The question came up again later that day",
};

std::string opening_of(std::int64_t number) {
  if (number % 2 == 0) return "";
  return openings[static_cast<std::size_t>(number / 2) % openings.size()];
}

// Adds the keys of all rows, group by group.
void add_rows(KeySums& sums, const Transformer& model, std::span<const TokenIds> rows, const Communicators& ranks,
              const std::function<void(std::int64_t)>& progress) {
  for_last_keys(model, rows, sums.layers(), ranks, [&](const LastKeysOfRound& round) {
    sums.add(round.own, round.sizes, "gather keys of subjects");
    if (ranks.is_root()) progress(round.done);
  });
}

void write_moments(const KeySums& sums, std::int64_t rows, const std::string& list,
                   const std::filesystem::path& statistics, const Communicators& ranks) {
  std::optional<io::SubjectMomentsWriter> file;
  if (ranks.is_root()) file.emplace(statistics, io::SubjectRows{.list = list, .rows = rows});
  // Rank 0 has read the file, layer by layer, for its digest.
  ranks.world.barrier("statistics file read", sharding::Timeout::steps(std::ssize(sums.layers()) + 1));
  for (const std::int64_t layer : sums.layers()) {
    const auto sum = sums.on_root(layer);
    if (file) file->add(mean_moment(layer, sum, rows));
  }
  if (file) file->commit();
}

}  // namespace

SubjectTokens subject_tokens(const PromptBuilder& prompts, const io::SubjectList& list, std::int64_t positions) {
  SubjectTokens tokens;
  for (std::size_t i = 0; i < list.prompts.size(); ++i) {
    const io::SubjectPrompt& one = list.prompts[i];
    PromptRow row = prompts.prompt_row({.subject = one.subject, .prompt = one.prompt},
                                       opening_of(static_cast<std::int64_t>(i)), positions);
    if (row.is_usable()) {
      row.ids.resize(static_cast<std::size_t>(row.subject_last + 1));
      tokens.rows.push_back(std::move(row.ids));
    } else if (tokens.left_out++ == 0) {
      tokens.first_left_out = fmt::format("subject '{}' ({}): {}", one.subject, one.where, row.rejection);
    }
  }
  return tokens;
}

SubjectSummary collect_subject_moments(const Transformer& model, const PromptBuilder& prompts,
                                       const io::SubjectList& list, const std::filesystem::path& statistics,
                                       const Communicators& ranks,
                                       const std::function<void(std::int64_t)>& progress) {
  SubjectSummary summary;
  {
    const Stopwatch watch(summary.seconds);
    const SubjectTokens tokens = subject_tokens(prompts, list, model.config.max_positions);
    if (tokens.rows.empty()) {
      throw io::UserError(
          {.expected = "a list of subjects with a prompt that can be used",
           .found = fmt::format("none of {}; the first: {}", tokens.left_out, tokens.first_left_out),
           .where = "--subjects",
           .remedy = "give another list"});
    }
    if (tokens.left_out > 0 && ranks.is_root()) {
      spdlog::warn("{} prompts about subjects are left out; the first: {}", tokens.left_out, tokens.first_left_out);
    }
    KeySums sums(model, io::StatisticsFile::load(statistics).layers(), ranks);
    add_rows(sums, model, tokens.rows, ranks, progress);
    write_moments(sums, std::ssize(tokens.rows), list.digest, statistics, ranks);
    summary.rows = std::ssize(tokens.rows);
    summary.left_out = tokens.left_out;
  }
  return summary;
}

}  // namespace anchorage::worker
