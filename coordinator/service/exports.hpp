// The exports of a run that is served: directories in RUN/exports, each written by `anchorage export` in a process
// of its own, which ends with the service. So an export that needs more memory than there is ends alone.
//
// On the network's thread, but for the wait for that process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "io/child_process.hpp"

namespace anchorage::coordinator {

// What an export says of itself, in its directory.
inline constexpr std::string_view export_report_name = "anchorage_export.json";

// What a request asks to be written (docs/service.md, "Exports").
struct ExportRequest {
  std::string name;                       // of its directory
  std::string format;                     // "hf", "peft" or "gguf"; empty: peft
  std::optional<std::int64_t> segment{};  // the state after it; none: the last one
  std::optional<std::int64_t> rank{};     // of the adapter; none: chosen
  bool verify = false, canaries = false;
};

// Throws RequestError, 400, for a body that is none.
ExportRequest export_in(const nlohmann::json& body);

// Returns the program and its arguments that write an export, of a request with format and segment, to `out`.
using ExportCommand =
    std::function<std::vector<std::string>(const ExportRequest& request, const std::filesystem::path& out)>;

struct ExportOptions {
  ExportCommand command{};
  // Runs an action on the network's thread.
  std::function<void(std::function<void()>)> on_network{};
  // Is told of the document of an export whose state has changed.
  std::function<void(const nlohmann::ordered_json&)> changed = [](const nlohmann::ordered_json&) {};
};

class Exports {
 public:
  // Knows those that `folder` has, and, where it writes some, removes what an earlier service has not finished: the
  // caller holds the run's lock.
  Exports(std::filesystem::path folder, ExportOptions options);
  // Ends the one that is being written; nothing is left of it. The network's thread has ended.
  ~Exports();
  Exports(const Exports&) = delete;
  Exports& operator=(const Exports&) = delete;

  // Begins to write; where one that meets the request is written or being written already, does nothing. Returns
  // its document. Throws RequestError, 409, where the name is another export's or another one is being written.
  const nlohmann::ordered_json& begin(ExportRequest request, std::int64_t last_segment);

  // Returns null for a name that there is not.
  const nlohmann::ordered_json* find(const std::string& name) const;
  nlohmann::ordered_json list() const;

  // Since the service began.
  std::int64_t written() const { return written_; }
  std::int64_t failed() const { return failed_; }

 private:
  bool take(const std::filesystem::path& directory);  // whether it is an export
  [[noreturn]] static void refuse_name(const nlohmann::ordered_json& other);
  void finish(const std::string& name, const io::ChildResult& result);
  std::filesystem::path directory_of(const std::string& name) const { return folder_ / name; }
  void remove_unfinished(const std::string& name) const;

  std::filesystem::path folder_;
  ExportOptions options_;
  std::map<std::string, nlohmann::ordered_json> documents_;
  std::int64_t written_ = 0, failed_ = 0;
  ExportRequest request_{};                    // of the export that is being written
  std::unique_ptr<io::ChildProcess> writing_;  // its process
  std::jthread waiting_;                       // for its end
};

}  // namespace anchorage::coordinator
