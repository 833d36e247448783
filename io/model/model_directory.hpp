// A Hugging Face model directory: config.json, the weights, tokenizer.json.
#pragma once

#include <filesystem>
#include <string>

#include "io/model/model_config.hpp"
#include "io/model/weight_files.hpp"

namespace anchorage::io {

class ModelDirectory {
 public:
  // Reads config.json and maps the weights. Errors: UserError for a file that is missing or malformed.
  static ModelDirectory open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  const WeightFiles& weights() const { return weights_; }

  // Returns the path of tokenizer.json. Errors: UserError where the directory has none.
  std::filesystem::path tokenizer() const;

  // Identifies the model: SHA-256 over config.json's bytes and, by name, every tensor's name, dtype, shape
  // and bytes, so that it changes with any weight and not with the division into shards. Reads all weights
  // (about a second for 500 MB): call it once and keep the result.
  std::string fingerprint() const;

 private:
  ModelDirectory(std::filesystem::path path, ModelConfig config, WeightFiles weights);

  std::filesystem::path path_;
  ModelConfig config_;
  WeightFiles weights_;
};

}  // namespace anchorage::io
