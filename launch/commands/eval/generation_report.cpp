#include "launch/commands/eval/generation_report.hpp"

#include <fmt/format.h>

#include "io/log.hpp"
#include "launch/commands/eval/intervals.hpp"

namespace anchorage::launch {
namespace {

void add_figure(nlohmann::json& document, const std::string& name, const worker::EditFigure& figure) {
  document[name] = number_or_null(figure.mean);
  document[name + "_interval"] = interval_or_null(figure.interval);
}

nlohmann::json generation_document(const worker::GenerationMetric& metric) {
  nlohmann::json document = {{"edits", metric.exact.edits}, {"left_out", metric.left_out}};
  add_figure(document, "exact", metric.exact);
  add_figure(document, "contained", metric.contained);
  add_figure(document, "naturally_ended", metric.naturally_ended);
  return document;
}

nlohmann::json generation_document(const std::vector<worker::OptionalText>& texts) {
  auto list = nlohmann::json::array();
  for (const worker::OptionalText& text : texts)
    list.push_back(text ? nlohmann::json(text->text) : nlohmann::json());
  return list;
}

nlohmann::json texts_of(std::span<const io::Edit> edits, const worker::EditGenerations& generations) {
  auto list = nlohmann::json::array();
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto& [prompt, paraphrases, neighborhood, portability] = generations.texts[i];
    list.push_back({{"id", edits[i].id},
                    {"prompt", prompt ? nlohmann::json(prompt->text) : nlohmann::json()},
                    {"paraphrases", generation_document(paraphrases)},
                    {"neighborhood", generation_document(neighborhood)},
                    {"portability", generation_document(portability)}});
  }
  return list;
}

std::string line_of(const char* name, const worker::GenerationMetric& metric) {
  const auto column = [](const worker::EditFigure& figure) { return with_interval(figure.mean, figure.interval); };
  return fmt::format("{:<14}{:>22}{:>22}{:>22}{:>8}\n", name, column(metric.exact), column(metric.contained),
                     column(metric.naturally_ended), metric.exact.edits);
}

std::string table_of(const worker::GenerationMetrics& metrics, std::int64_t max_new_tokens, bool compared) {
  std::string table =
      fmt::format("{:<14}{:>22}{:>22}{:>22}{:>8}\n", "generated", "exact", "contained", "naturally ended", "edits");
  table += line_of("prompt", metrics.prompts) + line_of("paraphrase", metrics.paraphrases) +
           line_of("neighborhood", metrics.neighborhood);
  if (metrics.portability.exact.edits > 0) table += line_of("portability", metrics.portability);
  table += fmt::format("at most {} new tokens; {} of the texts ended before\n", max_new_tokens,
                       number_or_dash(metrics.naturally_ended));
  if (!compared) return table;
  const worker::EditFigure& same = metrics.neighborhood.same;
  return table + fmt::format("{} of the neighborhood's texts are the baseline's, over {} edits\n",
                             with_interval(same.mean, same.interval), same.edits);
}

std::size_t left_out_of(const worker::EditGenerations& generations) {
  std::size_t count = 0;
  for (const auto& [prompt, paraphrases, neighborhood, portability] : generations.texts) {
    count += prompt ? 0 : 1;
    for (const auto* some : {&paraphrases, &neighborhood, &portability}) {
      for (const worker::OptionalText& text : *some) count += text ? 0 : 1;
    }
  }
  return count;
}

}  // namespace

void add_generations(Report& report, std::span<const io::Edit> edits, const worker::EditGenerations& generations,
                     const worker::GenerationBaseline* baseline) {
  const auto metrics = worker::measure(edits, generations, baseline);
  nlohmann::json document = {{"prompts", generation_document(metrics.prompts)},
                             {"paraphrases", generation_document(metrics.paraphrases)},
                             {"neighborhood", generation_document(metrics.neighborhood)},
                             {"portability", generation_document(metrics.portability)},
                             {"naturally_ended", number_or_null(metrics.naturally_ended)},
                             {"max_new_tokens", generations.max_new_tokens},
                             {"prompts_digest", worker::digest_of_prompts(edits)},
                             {"texts", texts_of(edits, generations)}};
  if (baseline != nullptr) add_figure(document["neighborhood"], "same", metrics.neighborhood.same);
  report.document["generation"] = std::move(document);
  report.table += table_of(metrics, generations.max_new_tokens, baseline != nullptr);
}

void log_left_out(const worker::EditGenerations& generations) {
  if (!generations.first_left_out) return;
  spdlog::warn("{} prompts that cannot be continued are left out; the first, of edit {}: {}",
               left_out_of(generations), generations.first_left_out->edit, generations.first_left_out->reason);
}

}  // namespace anchorage::launch
