// A service over a run of scripted workers, for tests that ask it over real sockets.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/hosted_run.hpp"
#include "coordinator/service/service.hpp"
#include "tests/unit/coordinator/service/http_client.hpp"
#include "tests/unit/coordinator/stored_run.hpp"

namespace anchorage::coordinator {

inline const std::string writer = "writer-0123456789", approver = "approver-0123456789";
inline const io::BaseRecord served_base{
    .model = "m", .tokenizer = "t", .statistics = "s", .hparams = "layers: [4]\n", .layers = {}};

inline nlohmann::json given(int number) {
  return {{"id", fmt::format("e{}", number)},
          {"subject", fmt::format("City {}", number)},
          {"prompt", "The mayor of {} is"},
          {"target", "Ada"}};
}

// A service and its run on threads of their own, until they are told to stop.
class ServedRun {
 public:
  ServedRun(const std::filesystem::path& run, bool resume, ScriptedWorkers::Script script, RunFacts facts,
            bool can_remove)
      : inputs_(RunInputs::open(run, resume, {.format = io::Format::native, .edits = {}, .rejected = {}})),
        workers_(std::move(script)) {
    const auto tokens = run.parent_path() / "tokens";
    if (!resume) {
      RunPlan plan;
      plan.record.method = "memit";
      inputs_.begin(plan, 2, {});
      std::ofstream(tokens) << writer << " write\n" << approver << " approve\n";
      std::filesystem::permissions(tokens, std::filesystem::perms(0600));
    }
    const io::Inbox inbox(io::inbox_of(run));
    service_ = std::make_unique<Service>(inputs_.directory, facts,
                                         ServiceOptions{.listen = "127.0.0.1:0",
                                                        .token_file = tokens,
                                                        .can_remove = can_remove,
                                                        .export_command =
                                                            [](const ExportRequest&, const std::filesystem::path&) {
                                                              return std::vector<std::string>{"/bin/false"};
                                                            }},
                                         std::vector<io::Edit>());
    hosted_ = std::make_unique<HostedRun>(inputs_, served_base,
                                          HostedRunOptions{.queue = {.batch_size = facts.batch_size},
                                                           .run = {.waits = true},
                                                           .provenance = StoredRun::provenance()},
                                          workers_);
    hosted_->observe(*service_);
    service_->attach(*hosted_);
    thread_ = std::jthread([this] {
      hosted_->run([&] { workers_.stopped(std::chrono::seconds(120)); }, [](const GraceIsOver&) {});
      service_->detach();
    });
  }
  ~ServedRun() { stop(); }
  ServedRun(const ServedRun&) = delete;
  ServedRun& operator=(const ServedRun&) = delete;

  void stop() {
    if (!thread_.joinable()) return;
    ask("POST", "/v1/stop");
    thread_.join();
  }

  ClientAnswer ask(const std::string& method, const std::string& path, const nlohmann::json& body = nullptr,
                   const std::string& token = writer) {
    return HttpClient(address()).ask(method, path, body.is_null() ? "" : body.dump(), token);
  }

  std::string state_of(const std::string& id) {
    return ask("GET", "/v1/edits/" + id).json().value("state", "none");
  }

  void wait_until(const std::string& id, const std::string& state) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (state_of(id) != state && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(state_of(id), state) << id;
  }

  std::string address() const { return service_->address(); }
  ScriptedWorkers& workers() { return workers_; }

 private:
  RunInputs inputs_;
  ScriptedWorkers workers_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<HostedRun> hosted_;
  std::jthread thread_;
};

// Answers removals and questions too.
inline sharding::Reply answering(const sharding::Command& command) {
  if (const auto* batch = std::get_if<sharding::ApplyBatch>(&command); batch != nullptr && batch->edits.empty()) {
    sharding::BatchApplied applied;
    applied.removal.edits = batch->superseded.edits;
    const auto count = std::ssize(applied.removal.edits);
    const auto filled = [](std::int64_t rows, std::int64_t columns) {
      return io::Matrix{rows, columns, std::vector<float>(static_cast<std::size_t>(rows * columns), 0.5F)};
    };
    applied.removal.layers.push_back({.layer = 4,
                                      .keys = filled(count, 2),
                                      .u = filled(3, count),
                                      .v = filled(2, count),
                                      .norms = {.update = 1, .total = 1, .base = 8}});
    return applied;
  }
  if (const auto* question = std::get_if<sharding::ContinuePrompts>(&command)) {
    sharding::PromptsContinued continued;
    for (const std::string& prompt : question->prompts) continued.texts.push_back({.edited = prompt + "!"});
    return continued;
  }
  if (const auto* question = std::get_if<sharding::ScoreTexts>(&command)) {
    sharding::TextsScored scored;
    for (const std::string& completion : question->completions)
      scored.scores.push_back({.log_probabilities = std::vector<float>(completion.size(), -1)});
    return scored;
  }
  return ScriptedWorkers::answer(command);
}

}  // namespace anchorage::coordinator
