#include "coordinator/service/exports.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "coordinator/json_text.hpp"
#include "coordinator/service/exchange.hpp"
#include "coordinator/service/problem.hpp"
#include "io/log.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 3> export_formats = {"peft", "hf", "gguf"};  // the first where none is said
constexpr std::size_t longest_name = 64;
constexpr std::int64_t most_columns = 65536;  // of an adapter, as `anchorage export` takes them
constexpr std::string_view report_file = "anchorage_export.json", unfinished = ".partial";
// Variables by which a launcher says to a rank which one it is: the process is none of the job's.
const std::vector<std::string> of_a_rank = {"OMPI_", "PMIX_", "PMI_", "PRTE_", "SLURM_"};

bool is_name(const std::string& text) {
  const auto is_known = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  return !text.empty() && text.size() <= longest_name && text.front() != '.' && !text.ends_with(unfinished) &&
         std::ranges::all_of(text, is_known);
}

bool flag_in(const nlohmann::json& body, const std::string& name) {
  if (!body.contains(name)) return false;
  if (!body[name].is_boolean()) refuse_body(fmt::format("true or false in the field '{}'", name));
  return body[name];
}

std::optional<std::int64_t> whole_number_in(const nlohmann::json& body, const std::string& name, std::int64_t least,
                                            std::int64_t most) {
  if (!body.contains(name)) return std::nullopt;
  const bool is_one = body[name].is_number_integer() && body[name] >= least && body[name] <= most;
  if (!is_one) refuse_body(fmt::format("a whole number from {} to {} in the field '{}'", least, most, name));
  return body[name].get<std::int64_t>();
}

io::ChildResult end_of(io::ChildProcess& process) {
  try {
    return process.wait();
  } catch (const std::exception& error) {
    return {.exit_code = -1, .out = {}, .err = fmt::format("error: {}", error.what())};
  }
}

// What the program says of its failure, in its last line.
std::string reason_of(const io::ChildResult& result) {
  const std::string_view text(result.err);
  constexpr std::string_view before = "error: ";
  const std::size_t found = text.rfind(before);
  if (found == std::string_view::npos) return fmt::format("the export ended with exit code {}", result.exit_code);
  const std::string_view reason = text.substr(found + before.size());
  return std::string(reason.substr(0, reason.find('\n')));
}

}  // namespace

ExportRequest export_in(const nlohmann::json& body) {
  ExportRequest request{.name = text_in(body, "name"), .format = {}};
  if (!is_name(request.name)) {
    refuse_body(fmt::format("a field 'name' of at most {} letters, digits, '-', '_' and '.', which is no first one",
                            longest_name));
  }
  if (body.contains("format")) request.format = text_in(body, "format");
  if (!request.format.empty() && std::ranges::count(export_formats, request.format) == 0)
    refuse_body(fmt::format("a field 'format' that is {}", fmt::join(export_formats, ", ")));
  request.segment = whole_number_in(body, "batch", 1, std::numeric_limits<std::int32_t>::max());
  request.rank = whole_number_in(body, "rank", 1, most_columns);
  const bool has_adapter = request.format.empty() || request.format == export_formats.front();
  if (request.rank && !has_adapter) refuse_body("the format peft with a field 'rank'");
  request.verify = flag_in(body, "verify");
  request.canaries = flag_in(body, "canaries");
  return request;
}

Exports::Exports(std::filesystem::path folder, ExportOptions options)
    : folder_(std::move(folder)), options_(std::move(options)) {
  if (!std::filesystem::is_directory(folder_)) return;
  std::vector<std::filesystem::path> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    name.ends_with(unfinished) ? left.push_back(entry.path()) : take(entry.path());
  }
  for (const auto& path : left) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) spdlog::warn("{}, of an export that was not finished, stays: {}", path.string(), error.message());
  }
}

Exports::~Exports() {
  if (writing_) writing_->kill();
}

// A directory without the report of an export is none.
void Exports::take(const std::filesystem::path& directory) {
  std::ifstream file(directory / report_file);
  if (!file) return;
  const auto report = ordered_json::parse(file, nullptr, false);
  const std::string name = directory.filename().string();
  if (!report.is_object() || !report.contains("format") || !report.contains("batch")) {
    spdlog::warn("{} is no report of an export: the export is not listed", (directory / report_file).string());
    return;
  }
  documents_[name] = {{"name", name},
                      {"state", "written"},
                      {"format", report["format"]},
                      {"batch", report["batch"]},
                      {"directory", std::filesystem::absolute(directory).string()},
                      {"reason", nullptr},
                      {"report", report}};
}

const ordered_json& Exports::begin(ExportRequest request, std::int64_t last_segment) {
  const std::string name = request.name, where = "POST /v1/export";
  const std::string format = request.format.empty() ? std::string(export_formats.front()) : request.format;
  const auto known = documents_.find(name);
  if (known != documents_.end() && known->second["state"] != "failed") {
    const ordered_json& other = known->second;
    const bool is_same = other["format"] == format && (!request.segment || other["batch"] == *request.segment);
    if (is_same) return other;
    throw RequestError(409, {.expected = "a name that no export has",
                             .found = fmt::format("'{}', of {} after batch {}", name,
                                                  other["format"].get<std::string>(), other["batch"].dump()),
                             .where = where,
                             .remedy = "give this one another name"});
  }
  if (writing_) {
    throw RequestError(409, {.expected = "one export at a time",
                             .found = "another that is being written",
                             .where = where,
                             .remedy = "ask again when /v1/exports says that it is written"});
  }
  request.format = format;
  request.segment = request.segment.value_or(last_segment);
  writing_ = std::make_unique<io::ChildProcess>(options_.command(request, directory_of(name)), "", of_a_rank);
  ordered_json& document = documents_[name] = {
      {"name", name},      {"state", "writing"},
      {"format", format},  {"batch", *request.segment},
      {"reason", nullptr}, {"directory", std::filesystem::absolute(directory_of(name)).string()},
      {"report", nullptr}};
  options_.changed(document);
  waiting_ = std::jthread([this, name, writing = writing_.get(), alive = std::weak_ptr<bool>(alive_)] {
    options_.on_network([this, name, alive, result = end_of(*writing)] {
      if (!alive.expired()) finish(name, result);
    });
  });
  return document;
}

void Exports::finish(const std::string& name, const io::ChildResult& result) {
  waiting_.join();
  writing_.reset();
  if (result.exit_code == 0) take(directory_of(name));
  ordered_json& document = documents_[name];
  const bool is_written = document["state"] == "written";
  ++(is_written ? written_ : failed_);
  if (!is_written) {
    document["state"] = "failed";
    document["reason"] = reason_of(result);
    spdlog::warn("export {}: {}", name, document["reason"].get<std::string>());
  } else {
    spdlog::info("export {} is written", name);
  }
  options_.changed(document);
}

const ordered_json* Exports::find(const std::string& name) const {
  const auto found = documents_.find(name);
  return found == documents_.end() ? nullptr : &found->second;
}

ordered_json Exports::list() const {
  auto list = ordered_json::array();
  for (const auto& [name, document] : documents_) list.push_back(document);
  return {{"exports", list}};
}

}  // namespace anchorage::coordinator
