#include "launch/commands/report/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "io/files/digest.hpp"
#include "launch/commands/report/charts.hpp"
#include "launch/commands/report/sections.hpp"

namespace anchorage::launch {
namespace {

// The digest as a Content-Security-Policy has it: base64 of the bytes that the hexadecimal digits stand for.
std::string base64_of_hex(const std::string& hex) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  unsigned bits = 0, count = 0;
  for (const char digit : hex) {
    bits = bits << 4 | static_cast<unsigned>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    count += 4;
    if (count < 6) continue;
    count -= 6;
    text += alphabet[bits >> count & 63U];
  }
  if (count > 0) text += alphabet[bits << (6 - count) & 63U];
  while (text.size() % 4 != 0) text += '=';
  return text;
}

// Nothing is loaded from anywhere, and no script but the page's own runs, whatever the texts of the inputs hold.
Markup policy(const std::string& script) {
  return element("meta",
                 {{"http-equiv", "Content-Security-Policy"},
                  {"content", fmt::format("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'; "
                                          "base-uri 'none'; form-action 'none'",
                                          base64_of_hex(io::sha256_hex(script)))}});
}

// The rules by which what is not chosen is left out of view, without a script.
std::string choices(std::size_t styles, std::size_t states) {
  std::string rules;
  for (std::size_t i = 0; i < styles; ++i)
    rules += fmt::format(".set:has(.p{0}:not(:checked)) :is(g,tr).m{0}{{display:none}}", i);
  for (std::size_t i = 0; i < states; ++i)
    rules += fmt::format(".set:has(.n{0}:checked) .at:not(.s{0}){{display:none}}", i);
  return rules;
}

std::size_t most_states(const ReportInputs& inputs) {
  std::size_t most = inputs.evaluations.size();
  for (const Comparison& comparison : inputs.comparisons) most = std::max(most, comparison.states.size());
  return std::min<std::size_t>(most, 400);
}

// The evaluation of the run's last state that has texts.
const Evaluation* texts_of(const RunContents& run, const ReportInputs& inputs) {
  const Evaluation* last = nullptr;
  for (const Evaluation& evaluation : inputs.evaluations) {
    if (evaluation.name != run.label || evaluation.texts.empty()) continue;
    if (last == nullptr || evaluation.edits > last->edits) last = &evaluation;
  }
  return last;
}

std::vector<Section> sections_of(const ReportInputs& inputs, MethodStyles& styles) {
  std::vector<Section> sections;
  const auto next_id = [&] { return fmt::format("part-{}", sections.size() + 1); };
  for (const RunContents& run : inputs.runs) sections.push_back(run_section(run, texts_of(run, inputs), next_id()));
  if (!inputs.evaluations.empty()) {
    sections.push_back(evaluation_section(inputs.evaluations, next_id()));
    const Comparison states = states_of(inputs.evaluations);
    if (!states.states.empty()) sections.push_back(comparison_section(states, next_id(), styles));
  }
  for (const Comparison& comparison : inputs.comparisons)
    sections.push_back(comparison_section(comparison, next_id(), styles));
  return sections;
}

Markup contents(const std::vector<Section>& sections) {
  Markup links;
  for (const Section& section : sections)
    links += element("li", {}, element("a", {{"href", "#" + section.id}}, section.title));
  return element("nav", {{"aria-label", "Contents"}}, element("ul", {}, links));
}

Markup in_short(const std::vector<Section>& sections) {
  Markup sentences;
  for (const Section& section : sections) sentences += element("li", {}, section.summary);
  return element("section", {{"class", "short"}, {"aria-labelledby", "in-short"}},
                 element("h2", {{"id", "in-short"}}, "In short") + element("ul", {}, sentences));
}

Markup main_of(const std::vector<Section>& sections) {
  Markup content = in_short(sections);
  for (const Section& section : sections) {
    content += element("section", {{"id", section.id}, {"aria-labelledby", section.id + "-heading"}},
                       element("h2", {{"id", section.id + "-heading"}}, section.title) + section.content);
  }
  return element("main", {}, content);
}

}  // namespace

std::string report_page(const ReportInputs& inputs, const PageAssets& assets) {
  MethodStyles styles;
  const std::vector<Section> sections = sections_of(inputs, styles);
  const Markup head =
      element("meta", {{"charset", "utf-8"}}) + policy(assets.script) +
      element("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}) +
      element("meta", {{"name", "color-scheme"}, {"content", "light dark"}}) +
      element("title", {}, "Anchorage report") +
      element("style", {}, Markup::trusted(assets.style + choices(styles.count(), most_states(inputs)) + "\n"));
  const Markup body = marker_definitions() +
                      element("header", {}, element("h1", {}, "Anchorage report") + contents(sections)) +
                      main_of(sections) +
                      element("footer", {}, "Made by anchorage report. Figures are those of the inputs, rounded.") +
                      element("script", {}, Markup::trusted(assets.script));
  return "<!doctype html>\n" +
         element("html", {{"lang", "en"}},
                 element("head", {}, head) + Markup::trusted("\n") + element("body", {}, body))
             .str() +
         "\n";
}

}  // namespace anchorage::launch
