// 'anchorage journal' shows what was done in a run, batch by batch and edit by edit. It only reads.
#pragma once

#include <filesystem>
#include <optional>

#include "launch/program/session.hpp"

namespace anchorage::launch {

struct JournalOptions {
  std::filesystem::path run;
  std::optional<std::int64_t> batch;             // of `show`; none: the last one
  std::optional<std::filesystem::path> picture;  // of `anchors`: an SVG file to write
};

// Each prints on rank 0 and returns the exit code.
int list_journal(const JournalOptions& options, Session& session);
int show_segment(const JournalOptions& options, Session& session);
int verify_journal(const JournalOptions& options, Session& session);
int show_anchors(const JournalOptions& options, Session& session);

}  // namespace anchorage::launch
