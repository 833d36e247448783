// What `anchorage tune` is asked for, read and checked before a model is loaded or anything is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "io/edits/reader.hpp"
#include "io/hparams/hparams.hpp"
#include "io/model/model_directory.hpp"
#include "io/statistics/statistics_file.hpp"
#include "launch/commands/tune/choice.hpp"
#include "launch/commands/tune/search.hpp"
#include "launch/program/session.hpp"
#include "worker/editing/method.hpp"
#include "worker/evaluation/causal_trace.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::launch {

struct TuneOptions {
  std::string model, edits;
  std::optional<std::string> format;
  std::string chat_template;
  std::filesystem::path corpus, out, work, statistics;  // the last empty: collected
  std::string hparams;
  std::vector<std::string> assignments;
  std::string method = "b-eac";
  std::int64_t limit = 32;
  std::int64_t tokens = 100000;
  std::optional<std::int64_t> sequence_length;
  std::int64_t noises = 4;
  std::int64_t seed = 0;
  std::vector<double> weights, clamps;  // to be tried; empty: values around the start
  ChoiceLimits limits;
};

// What is the same for all that follows.
struct TuneTask {
  TuneOptions options;
  io::ModelDirectory directory;
  worker::Method method;
  io::EditsFile sample;
  io::Hparams start;  // layers may be missing
  std::int64_t sequence_length = 0;
  io::StatisticsFingerprint fingerprint;      // of statistics that are collected
  std::optional<io::StatisticsFile> given{};  // statistics
  bool uses_weight = true;                    // whether the method uses mom2_update_weight
  std::vector<worker::TracedFact> facts{};    // of the sample, those that can be traced
  std::vector<worker::TokenIds> held_out{};   // sequences
  std::string held_out_words{};               // which these are

  // Returns the settings that the search starts from; their layers may be missing.
  TrialSettings first_settings() const;
  // Returns the hyper-parameters of a trial, resolved for the model.
  io::Hparams resolved(const TrialSettings& settings) const;
};

// Reads and checks all that is given. Throws io::UserError. Collective.
TuneTask read_task(TuneOptions options, Session& session);

// Returns what trace, statistics and trials depend on, as WorkDirectory takes it.
nlohmann::json inputs_of(const TuneTask& task, const Session& session);

}  // namespace anchorage::launch
