// 'anchorage journal' shows what was done in a run, batch by batch and edit by edit. It only reads.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "launch/program/session.hpp"

namespace anchorage::launch {

// Which edits `history` shows; what is empty lets all through.
struct HistoryFilter {
  std::string id{}, subject{}, source{}, author{}, approved_by{};
  std::optional<std::chrono::year_month_day> expired_on{};  // only live ones that hold no more on this day
};

struct JournalOptions {
  std::filesystem::path run;
  std::optional<std::int64_t> batch;             // of `show`; none: the last one
  std::optional<std::filesystem::path> picture;  // of `anchors`: an SVG file to write
  HistoryFilter filter;                          // of `history`
  std::vector<std::int64_t> states;              // of `diff`: two batches
};

// Each prints on rank 0 and returns the exit code.
int list_journal(const JournalOptions& options, Session& session);
int show_segment(const JournalOptions& options, Session& session);
int verify_journal(const JournalOptions& options, Session& session);
int show_anchors(const JournalOptions& options, Session& session);
int show_history(const JournalOptions& options, Session& session);
int show_difference(const JournalOptions& options, Session& session);

}  // namespace anchorage::launch
