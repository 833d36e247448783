// The small random models of tests/golden/small_models.py with what transformers says of them.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/places.hpp"
#include "worker/model/load.hpp"

namespace anchorage::tests {

struct GoldenModel {
  io::ModelDirectory directory;
  nlohmann::json reference;
};

inline GoldenModel golden_model(const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(tests::golden_path()) / "small_models";
  std::ifstream file(folder / (name + ".json"));
  return {io::ModelDirectory::open(folder / name), nlohmann::json::parse(file)};
}

// The names of all of them, as the script lists them.
inline std::vector<std::string> names_of_golden_models() {
  std::ifstream file(std::filesystem::path(tests::golden_path()) / "small_models" / "names.json");
  return nlohmann::json::parse(file).get<std::vector<std::string>>();
}
inline const std::vector<std::string> golden_model_names = names_of_golden_models();

// The largest difference, and how much of what is allowed it takes.
inline void expect_close(const torch::Tensor& actual, const torch::Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const double difference = (actual.to(torch::kDouble) - expected.to(torch::kDouble)).abs().max().item<double>();
  EXPECT_LE(difference, tolerance) << "largest difference " << difference << ", " << 100 * difference / tolerance
                                   << " % of the tolerance";
}

}  // namespace anchorage::tests
