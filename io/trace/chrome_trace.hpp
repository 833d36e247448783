// Writes what ranks do over time in Chrome's trace event format, which ui.perfetto.dev and chrome://tracing show: a
// row for each rank, on it a box for each activity, boxes inside it below it.
//
// The file is a JSON object with "traceEvents": metadata events ("ph": "M") that name the process and its threads
// and order these, and complete events ("ph": "X") with "ts" and "dur" in microseconds, of nanosecond precision.
// Rows are threads of one process.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace anchorage::io {

struct TraceBox {
  std::string activity;
  double start = 0;        // seconds
  double duration = 0;     // seconds, 0 or more
  std::string category{};  // by which viewers filter; may be empty
};

struct TraceRow {
  std::string name;             // "rank 0 (stage 0, replica 0)"
  std::vector<TraceBox> boxes;  // in any order; two of them are apart, or one lies within the other
};

struct Trace {
  std::string title;           // of the process
  std::vector<TraceRow> rows;  // from top to bottom
};

// Throws UserError where no file can be written at `path`. `option` is the one that named it ("--trace"). Call it
// before the work that the trace is of.
void require_trace_path(const std::filesystem::path& path, const std::string& option);

// Writes the trace under a temporary name and renames it. Throws InternalError where boxes of a row overlap,
// SystemError as AtomicFile does.
void write_trace(const std::filesystem::path& path, const Trace& trace);

}  // namespace anchorage::io
