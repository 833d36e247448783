// The page: what it shows of each input, and that no text of an input becomes part of its markup.
#include "launch/commands/report/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "launch/commands/report/html.hpp"

namespace anchorage::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

ReportInputs inputs_with(const std::string& text) {
  ReportInputs inputs;
  inputs.comparisons.push_back({.label = text, .source = text});
  for (const std::int64_t edits : {100, 200}) {
    for (const std::string& method : {text, std::string("eac")}) {
      inputs.comparisons[0].states.push_back(
          {.method = method,
           .edits = edits,
           .figures = {{Measure::kept, {0.5 + 0.001 * static_cast<double>(edits)}},
                       {Measure::exact, {0.875, Interval{0.8, 0.9}}},
                       {Measure::loss_change, {0.125}}},
           .drift = {{4, 0.25}}});
    }
  }
  inputs.evaluations.push_back({.label = text,
                                .name = text,
                                .edits = 2,
                                .source = text,
                                .figures = {{Measure::efficacy, {0.625}}},
                                .tasks = {{.task = text, .name = "answered", .meaning = "", .figure = {0.375}}},
                                .texts = {{text, text}}});
  inputs.runs.push_back({.label = text, .source = text, .model = text, .method = text});
  RunContents& run = inputs.runs.back();
  run.batches.push_back({.batch = 1, .committed = 1, .matched = 0.0, .drift = {{4, 0.5}}});
  run.edits = run.measured = run.live = 1;
  run.failed.push_back(
      {.batch = 1, .id = text, .prompt = text, .wanted = text, .nll_after = 4.5, .why = text, .now = "live"});
  run.anchors[4].push_back({.batch = 1, .chosen = 3, .kept = 1, .entered = 2, .left = 0});
  return inputs;
}

std::size_t count(const std::string& page, const std::string& pattern) {
  const std::regex regex(pattern, std::regex::icase);
  return static_cast<std::size_t>(
      std::distance(std::sregex_iterator(page.begin(), page.end(), regex), std::sregex_iterator()));
}

TEST(ReportPage, NoTextOfAnInputBecomesMarkup) {
  const PageAssets assets{.style = "p{}", .script = "1"};
  const std::string harmless = report_page(inputs_with("method"), assets);
  for (const std::string hostile :
       {"</script><img src=x onerror=alert(1)>", "\"><script>alert(1)</script>", "'><svg onload=alert(1)>",
        "</style></title></textarea><iframe src=//x>", "<!--", "]]>"}) {
    const std::string page = report_page(inputs_with(hostile), assets);
    EXPECT_EQ(count(page, "<[a-z!/]"), count(harmless, "<[a-z!/]")) << hostile;
    EXPECT_EQ(count(page, "<script"), 1U);
    EXPECT_EQ(count(page, "<img|<iframe|<!--"), 0U);
    EXPECT_NE(page.find(escape_markup(hostile)), page.npos) << hostile;
  }
}

TEST(ReportPage, AllowsItsOwnScriptAloneByItsDigest) {
  // Of no bytes, in base64.
  EXPECT_THAT(report_page({}, {}),
              HasSubstr("script-src &#39;sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=&#39;"));
  // printf abc | openssl dgst -sha256 -binary | base64
  EXPECT_THAT(report_page({}, {.style = "", .script = "abc"}),
              HasSubstr("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="));
  EXPECT_THAT(report_page({}, {}), HasSubstr("default-src &#39;none&#39;"));
}

TEST(ReportPage, HasTheNumbersOfEveryInput) {
  const std::string page = report_page(inputs_with("m"), {});
  for (const char* number : {"<b>0.700</b>", "0.875", "0.800\u20130.900", "+0.1250", "0.625", "0.375", "4.500"})
    EXPECT_THAT(page, HasSubstr(number));
  EXPECT_THAT(page, HasSubstr("after 200 edits: most facts kept: m, eac (0.700)"));
  EXPECT_THAT(page, HasSubstr("0 of 1 matched exactly after their batch (0.0%)"));
  EXPECT_THAT(page, HasSubstr("layer 4, batch 1: 3 anchors, 1 kept, 2 entered, 0 left"));
  EXPECT_THAT(page, HasSubstr("The model says"));
}

TEST(ReportPage, IsTheSameBytesForTheSameInputs) {
  EXPECT_EQ(report_page(inputs_with("m"), {}), report_page(inputs_with("m"), {}));
}

TEST(ReportPage, OfALongRunDrawsMeansOfSomeBatchesAndListsThemAll) {
  ReportInputs inputs;
  inputs.runs.push_back({.label = "long", .source = "long", .model = "m", .method = "eac"});
  for (std::int64_t batch = 1; batch <= 1000; ++batch)
    inputs.runs[0].batches.push_back({.batch = batch, .committed = 1, .matched = batch % 2 == 0 ? 1.0 : 0.0});
  const std::string page = report_page(inputs, {});
  EXPECT_EQ(count(page, "<th scope=\"row\">"), 1000U);
  EXPECT_THAT(page, HasSubstr("batch 1\u20139, matched: 0.444")) << "4 of 9";
  EXPECT_LE(count(page, "<use "), 130U);
}

TEST(ReportPage, EvaluationsOfOneNameAfterSeveralNumbersOfEditsMakeCurves) {
  ReportInputs inputs;
  for (const std::int64_t edits : {100, 200}) {
    inputs.evaluations.push_back({.label = "night@" + std::to_string(edits),
                                  .name = "night",
                                  .edits = edits,
                                  .source = "e.json",
                                  .figures = {{Measure::exact, {0.5, Interval{0.4, 0.6}}}}});
  }
  EXPECT_THAT(report_page(inputs, {}), HasSubstr("class=\"band\""));
  inputs.evaluations.pop_back();
  EXPECT_THAT(report_page(inputs, {}), Not(HasSubstr("class=\"band\"")));
}

}  // namespace
}  // namespace anchorage::launch
