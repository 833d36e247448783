#include "coordinator/service/exports.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "coordinator/service/exchange.hpp"
#include "coordinator/service/problem.hpp"
#include "io/files/staging_directory.hpp"
#include "io/log.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 3> export_formats = {"peft", "hf", "gguf"};  // the first where none is said
constexpr std::size_t longest_name = 64;
constexpr std::int64_t most_columns = 65536;  // of an adapter, as `anchorage export` takes them
constexpr std::string_view unfinished = io::StagingDirectory::suffix;
// How names of variables begin by which a launcher says to a rank which one it is: the process is none of the
// job's.
const std::vector<std::string> of_a_rank = {"OMPI_APP_CTX",
                                            "OMPI_ARGV",
                                            "OMPI_COMM",
                                            "OMPI_FILE_LOCATION",
                                            "OMPI_FIRST_RANKS",
                                            "OMPI_MCA_ess",
                                            "OMPI_MCA_initial_wdir",
                                            "OMPI_MCA_orte",
                                            "OMPI_MCA_pmix",
                                            "OMPI_NUM_APP",
                                            "OMPI_UNIVERSE",
                                            "PMIX_",
                                            "PMI_",
                                            "PMI2_",
                                            "PRTE_",
                                            "SLURM_",
                                            "FLUX_",
                                            "PALS_"};

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
  constexpr std::string_view before = "\nerror: ";
  const std::string text = "\n" + result.err;
  const std::size_t found = text.rfind(before);
  if (found == std::string::npos) return fmt::format("the export ended with exit code {}", result.exit_code);
  const std::string reason = text.substr(found + before.size());
  return reason.substr(0, reason.find('\n'));
}

// The request that an export which is written answers.
ExportRequest request_of(const ordered_json& document) {
  const ordered_json& report = document["report"];
  ExportRequest request{.name = document["name"], .format = document["format"], .segment = document["batch"]};
  if (report.contains("rank") && report["rank"].is_number_integer())
    request.rank = report["rank"].get<std::int64_t>();
  request.verify = report.value("read_back", false);
  request.canaries = report.contains("canaries");
  return request;
}

// Whether an export that was asked for is also what another request asks for.
bool meets(const ExportRequest& asked, const ExportRequest& other) {
  return asked.name == other.name && asked.format == other.format && asked.segment == other.segment &&
         (!other.rank || asked.rank == other.rank) && (!other.verify || asked.verify) &&
         (!other.canaries || asked.canaries);
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
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(unfinished)) {
      take(entry.path());
    } else if (options_.command) {
      left.push_back(name.substr(0, name.size() - unfinished.size()));
    }
  }
  for (const std::string& name : left) remove_unfinished(name);
}

Exports::~Exports() {
  if (!writing_) return;
  writing_->kill();
  waiting_.join();
  remove_unfinished(request_.name);
}

void Exports::remove_unfinished(const std::string& name) const {
  const std::filesystem::path path = directory_of(name).string() + std::string(unfinished);
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) spdlog::warn("{}, of an export that was not finished, stays: {}", path.string(), error.message());
}

// A directory without the report of an export is none.
bool Exports::take(const std::filesystem::path& directory) {
  std::ifstream file(directory / export_report_name);
  if (!file) return false;
  const auto report = ordered_json::parse(file, nullptr, false);
  const std::string name = directory.filename().string();
  const bool is_report = report.is_object() && report.contains("format") && report["format"].is_string() &&
                         report.contains("batch") && report["batch"].is_number_integer();
  if (!is_report) {
    spdlog::warn("{} is no report of an export: the export is not listed",
                 (directory / export_report_name).string());
    return false;
  }
  documents_[name] = {{"name", name},
                      {"state", "written"},
                      {"format", report["format"]},
                      {"batch", report["batch"]},
                      {"directory", std::filesystem::absolute(directory).string()},
                      {"reason", nullptr},
                      {"report", report}};
  return true;
}

void Exports::refuse_name(const ordered_json& other) {
  throw RequestError(409, {.expected = "a name that no export has, or the request that it was written by",
                           .found = fmt::format("'{}', of {} after batch {}", other["name"].get<std::string>(),
                                                other["format"].get<std::string>(), other["batch"].dump()),
                           .where = "POST /v1/export",
                           .remedy = "give this one another name"});
}

const ordered_json& Exports::begin(ExportRequest request, std::int64_t last_segment) {
  if (request.format.empty()) request.format = export_formats.front();
  request.segment = request.segment.value_or(last_segment);
  const std::string name = request.name;
  const auto known = documents_.find(name);
  if (writing_) {
    if (meets(request_, request)) return known->second;
    if (name == request_.name) refuse_name(known->second);
    throw RequestError(409, {.expected = "one export at a time",
                             .found = fmt::format("'{}', which is being written", request_.name),
                             .where = "POST /v1/export",
                             .remedy = "ask again when /v1/exports says that it is written"});
  }
  if (known != documents_.end() && known->second["state"] == "written") {
    if (meets(request_of(known->second), request)) return known->second;
    refuse_name(known->second);
  }
  writing_ = std::make_unique<io::ChildProcess>(options_.command(request, directory_of(name)), "",
                                                io::ChildOptions{.left_out = of_a_rank, .own_group = true});
  try {
    waiting_ = std::jthread([this, name, writing = writing_.get()] {
      options_.on_network([this, name, result = end_of(*writing)] { finish(name, result); });
    });
  } catch (...) {
    writing_.reset();
    remove_unfinished(name);
    throw;
  }
  request_ = request;
  ordered_json& document =
      documents_[name] = {{"name", name},
                          {"state", "writing"},
                          {"format", request.format},
                          {"batch", *request.segment},
                          {"directory", std::filesystem::absolute(directory_of(name)).string()},
                          {"reason", nullptr},
                          {"report", nullptr}};
  options_.changed(document);
  return document;
}

// A directory that has its name is whole, however its process has ended.
void Exports::finish(const std::string& name, const io::ChildResult& result) {
  waiting_.join();
  writing_.reset();
  const bool is_written = take(directory_of(name));
  ordered_json& document = documents_[name];
  ++(is_written ? written_ : failed_);
  if (is_written) {
    spdlog::info("export {} is written", name);
  } else {
    remove_unfinished(name);
    document["state"] = "failed";
    document["reason"] = reason_of(result);
    spdlog::warn("export {}: {}", name, document["reason"].get<std::string>());
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
