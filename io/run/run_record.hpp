// run.yaml: everything that a run depends on, every default filled in, so that `--resume` needs nothing from
// the first command line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace anchorage::io {

// The facts that a run protects; their keys are in the run's directory (io/run/protected_keys.hpp).
struct ProtectedFacts {
  std::string file;    // path, absolute; not needed again
  std::string digest;  // SHA-256 of the file
  std::string keys;    // SHA-256 of protected.h5

  bool operator==(const ProtectedFacts&) const = default;
};

struct RunRecord {
  std::string model;               // path, absolute
  std::vector<std::string> edits;  // paths, absolute
  std::string format = "auto";     // of the edits: a name of io/edits/formats.hpp, or auto: detected from
                                   // their fields
  std::string chat_template{};     // role of a prompt's message: system, user, or "" for bare prompts
  std::string statistics;          // path, absolute
  std::string method;
  std::string hparams;  // YAML text, kept unchanged
  std::int64_t batch_size = 0;
  std::int64_t seed = 0;
  std::int64_t threads = 0;                         // per rank
  std::int64_t group = 0;                           // edits computed together
  std::string dtype;                                // requested for the weights: auto, fp32, bf16 or fp16
  std::string device;                               // cpu or cuda
  std::vector<std::string> reference_kernels{};     // kernels that do not run in their fused form
  std::map<std::string, std::string> fingerprints;  // model, tokenizer, statistics
  std::map<std::string, std::string> versions;      // anchorage, torch, hdf5, ...
  std::optional<ProtectedFacts> protection{};
  std::string canaries{};         // path, absolute; empty: none
  bool require_approval = false;  // of edits, by another than their author

  bool operator==(const RunRecord&) const = default;
};

// Replaces the file atomically.
void write_run_record(const std::filesystem::path& path, const RunRecord& record);

// Throws UserError for a file that is missing, is not YAML or lacks a key.
RunRecord read_run_record(const std::filesystem::path& path);

}  // namespace anchorage::io
