// A Hugging Face model directory: config.json, the weights, tokenizer.json.
#pragma once

#include <filesystem>
#include <string>

#include "io/model/model_config.hpp"
#include "io/model/weight_files.hpp"

namespace anchorage::io {

class ModelDirectory {
 public:
  // Reads config.json and maps the weights. Errors: UserError for what is missing or not as it should be.
  static ModelDirectory open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const ModelConfig& config() const { return config_; }
  const WeightFiles& weights() const { return weights_; }

  // Errors: UserError where the directory has no tokenizer.json.
  std::filesystem::path tokenizer() const;

  // Names the model: SHA-256 over config.json's bytes and, by name, every tensor's name, dtype, shape and bytes, so
  // that any change of a weight shows and the division into shards does not. It reads all of the weights (about a
  // second for 500 MB): ask once and keep it.
  std::string fingerprint() const;

 private:
  ModelDirectory(std::filesystem::path path, ModelConfig config, WeightFiles weights);

  std::filesystem::path path_;
  ModelConfig config_;
  WeightFiles weights_;
};

}  // namespace anchorage::io
