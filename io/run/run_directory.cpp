#include "io/run/run_directory.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/error.hpp"
#include "io/files/appended_text.hpp"
#include "io/files/atomic_file.hpp"
#include "io/files/mapped_file.hpp"
#include "io/text/strict_json.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

constexpr const char* record_name = "run.yaml";
constexpr const char* contexts_name = "contexts.json";

void make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw SystemError::from_errno(error.value(), "create the directory", path.string());
}

// Whether the file is a trace of a run that ended before it had a run.yaml: its lock, a temporary file, or
// protected keys beside a lock.
bool is_trace_of_a_start(const std::filesystem::path& path) {
  if (path.filename() == protected_keys_name) return std::filesystem::exists(path.parent_path() / run_lock_name);
  return path.filename() == run_lock_name || is_temporary(path);
}

void require_free(const std::filesystem::path& path) {
  if (RunDirectory::is_run(path)) {
    throw UserError({.expected = "a new run directory",
                     .found = "a run",
                     .where = path.string(),
                     .remedy = "resume it with --resume, or give another directory"});
  }
  if (std::filesystem::exists(path) && !std::filesystem::is_directory(path)) {
    throw UserError(
        {.expected = "a directory", .found = "a file", .where = path.string(), .remedy = "give another name"});
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (is_trace_of_a_start(entry.path())) continue;
    throw UserError({.expected = "a new or empty run directory",
                     .found = "'" + entry.path().filename().string() + "' in it",
                     .where = path.string(),
                     .remedy = "give another directory"});
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw SystemError::from_errno(error.value(), "list", path.string());
  }
}

void make_folders(const RunDirectory& run) {
  for (const auto& folder : {run.journal(), run.checkpoint()}) make_folder(folder);
}

// Cuts off a last line without a line feed, which a process killed while writing left.
void cut_torn_line(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return;
  std::streamoff end = file.tellg();
  const std::streamoff size = end;
  for (char last = '\0'; end > 0; --end) {
    file.seekg(end - 1);
    file.get(last);
    if (!file || last == '\n') break;
  }
  if (end == size) return;
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(end));
}

}  // namespace

RunDirectory::RunDirectory(std::filesystem::path path, RunRecord record, std::optional<RunLock> lock,
                           NewFolder folder)
    : path_(std::move(path)), record_(std::move(record)), folder_(std::move(folder)), lock_(std::move(lock)) {}

RunDirectory RunDirectory::create(const std::filesystem::path& path) {
  require_free(path);
  NewFolder folder(path);
  RunLock lock(path);
  require_free(path);  // again: another job may have been faster
  lock.remove_file_at_end(true);
  remove_leftovers(path);
  std::error_code ignored;
  std::filesystem::remove(path / protected_keys_name, ignored);  // of a start that was killed
  return {path, {}, std::move(lock), std::move(folder)};
}

RunDirectory RunDirectory::resume(const std::filesystem::path& path) {
  read_run_record(path / record_name);  // before taking a lock, which would leave a file in a directory that is not
                                        // a run
  RunLock lock(path);
  RunDirectory run(path, read_run_record(path / record_name), std::move(lock), {});
  remove_leftovers(path);
  cut_torn_line(run.metrics());
  make_folders(run);
  remove_leftovers(run.checkpoint());
  return run;
}

RunDirectory RunDirectory::view(const std::filesystem::path& path) {
  return {path, read_run_record(path / record_name), std::nullopt, {}};
}

bool RunDirectory::is_run(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path / record_name, error);
}

void RunDirectory::write_record(const RunRecord& record) {
  check(lock_.has_value(), "a record written to a run that is only viewed");
  write_run_record(path_ / record_name, record);  // first: folders without it would block a new run
  lock_->remove_file_at_end(false);
  folder_.keep();
  make_folders(*this);
  sync_directory(path_);
  record_ = record;
}

std::string RunDirectory::write_protected_keys(std::int64_t prompts, std::span<const ProtectedLayer> layers) {
  check(lock_.has_value() && record_.model.empty(), "protected keys written to a run that has begun");
  const auto path = path_ / protected_keys_name;
  folder_.add_file(path);
  return io::write_protected_keys(path, prompts, layers);
}

void RunDirectory::append_metrics(std::string_view json) {
  check(lock_.has_value(), "metrics written to a run that is only viewed");
  check(json.find('\n') == std::string_view::npos, "metrics of more than one line");
  append_durably(metrics(),
                 std::string(json) + "\n");  // if half a line stays after a failure, `resume` cuts it off
}

void RunDirectory::write_contexts(const std::vector<Context>& contexts) {
  check(lock_.has_value(), "contexts written to a run that is only viewed");
  auto list = nlohmann::json::array();
  for (const Context& context : contexts) list.push_back({{"text", context.text}, {"tokens", context.tokens}});
  write_file_atomically(path_ / contexts_name,
                        list.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

bool RunDirectory::has_contexts() const {
  return std::filesystem::exists(path_ / contexts_name);
}

std::vector<Context> RunDirectory::read_contexts() const {
  const std::string name = path_ / contexts_name;
  Diagnostic diagnostic{.expected = "a list of contexts with text and tokens",
                        .found = {},
                        .where = name,
                        .remedy = "put the file back from a copy: the run is not repeatable with other contexts"};
  const MappedFile file(name);
  const nlohmann::json list = parse_strict_json(text_of(file.bytes()), diagnostic);
  try {
    std::vector<Context> contexts;
    for (const auto& entry : list) contexts.push_back({.text = entry.at("text"), .tokens = entry.at("tokens")});
    return contexts;
  } catch (const nlohmann::json::exception& error) {
    diagnostic.found = error.what();
    throw UserError(diagnostic);
  }
}

}  // namespace anchorage::io
