// A run of scripted workers in a directory of its own.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/edit_run.hpp"
#include "io/run/checkpoint.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/unit/coordinator/scripted_workers.hpp"

namespace anchorage::coordinator {

inline io::EditsFile file_of(std::int64_t edits) {
  io::EditsFile file{.format = io::Format::native, .edits = {}, .rejected = {}};
  for (std::int64_t i = 0; i < edits; ++i) {
    file.edits.push_back({.id = fmt::format("e{}", i),
                          .subject = fmt::format("City {}", i),
                          .prompt = "The mayor of {} is",
                          .target = "Ada"});
    file.places.push_back(fmt::format("facts.jsonl, line {}", i + 1));
  }
  return file;
}

// Without AcceptBatch, which follows every commit. "e0 e1" for a batch, "revert", "refresh" and the number of
// segments, "seg-00000001.h5" for a replay, "save 2", "load 2", "stop".
inline std::vector<std::string> texts(const std::vector<sharding::Command>& commands) {
  std::vector<std::string> all;
  for (const sharding::Command& command : commands) {
    if (std::holds_alternative<sharding::AcceptBatch>(command)) continue;
    std::string text = "stop";
    if (const auto* replay = std::get_if<sharding::ReplaySegment>(&command)) {
      text = std::filesystem::path(replay->path).filename();
    } else if (const auto* batch = std::get_if<sharding::ApplyBatch>(&command)) {
      text.clear();
      for (const io::Edit& edit : batch->edits) text += (text.empty() ? "" : " ") + edit.id;
      for (const io::RecordedPlace& place : batch->superseded.edits) text += " for " + place.id;
    } else if (std::holds_alternative<sharding::RevertBatch>(command)) {
      text = "revert";
    } else if (const auto* refresh = std::get_if<sharding::RefreshLeastSquares>(&command)) {
      text = fmt::format("refresh {}", refresh->live.size());
    } else if (const auto* save = std::get_if<sharding::SaveCheckpoint>(&command)) {
      text = fmt::format("save {}", save->segment);
    } else if (const auto* load = std::get_if<sharding::LoadCheckpoint>(&command)) {
      text = fmt::format("load {}", load->segment);
    }
    all.push_back(text);
  }
  return all;
}

// Writes checkpoints as the workers do, but at once.
inline sharding::Reply keeping_checkpoints(const sharding::Command& command) {
  if (const auto* save = std::get_if<sharding::SaveCheckpoint>(&command)) {
    const io::CheckpointName checkpoint{save->directory, save->segment, save->digest};
    io::write_checkpoint_slab(checkpoint, 4, 0, std::vector<double>{1, 2, 3, 4}, 2);
    io::write_checkpoint_layer(
        checkpoint,
        io::CheckpointLayer{
            .layer = 4, .weight = {3, 2, {1, 2, 3, 4, 5, 6}}, .image = {1, 2}, .fresh_drift = 0, .slabs = {0}});
  }
  return ScriptedWorkers::answer(command);
}

struct SilentObserver : Observer {};

struct Warnings : Observer {
  void warned(const std::string& of) override { texts.push_back(of); }
  std::vector<std::string> texts;
};

// A new run in a directory of its own, with its base segment.
class StoredRun {
 public:
  explicit StoredRun(const std::filesystem::path& path) : directory_(io::RunDirectory::create(path)) {
    directory_->write_record({});
    journal_ = io::Journal::open(directory_->journal(), io::JournalAccess::append);
    io::BaseRecord base{
        .model = "m", .tokenizer = "t", .statistics = "s", .hparams = "layers: [4]\n", .layers = {}};
    base.layers.push_back({.layer = 4, .weight = "layers.4.down", .rows = 3, .columns = 2, .norm = 8});
    journal_->append(base_segment(base, provenance()));
  }

  // As after the death of the process.
  void reopen() {
    take_directory();
    journal_ = io::Journal::open(directory_->journal(), io::JournalAccess::append);
  }
  void reopen_with_index() {
    take_directory();
    journal_ = io::Journal::open(directory_->journal(), io::JournalAccess::append, directory_->journal_index());
  }

  RunResult edit(const io::EditsFile& file, ScriptedWorkers& workers, Observer& observer,
                 QueueOptions options = {2}, EditRunOptions how = {}) {
    boost::asio::io_context context;
    Queue queue(file, recorded_edits(*journal_), options);
    EditRun run(context, workers, *directory_, *journal_, std::move(queue), provenance(), observer, how);
    run.start();
    context.run();
    return run.result();
  }

  RunResult edit(const io::EditsFile& file, ScriptedWorkers& workers, QueueOptions options = {2},
                 EditRunOptions how = {}) {
    SilentObserver observer;
    return edit(file, workers, observer, options, how);
  }

  io::RunDirectory& directory() { return *directory_; }
  io::Journal& journal() { return *journal_; }
  io::BatchSegment segment(std::size_t number) const { return io::read_segment(journal_->list().at(number).path); }

  std::vector<nlohmann::json> metrics() const {
    std::ifstream file(directory_->metrics());
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  static Provenance provenance() { return {.version = "0.1.0", .world = 3, .seed = 42}; }

 private:
  void take_directory() {
    const auto path = directory_->path();
    directory_.reset();
    directory_ = io::RunDirectory::resume(path);
  }

  std::optional<io::RunDirectory> directory_;
  std::optional<io::Journal> journal_;
};

class EditRunTest : public testing::Test {
 protected:
  tests::TemporaryDirectory folder_;
};

}  // namespace anchorage::coordinator
