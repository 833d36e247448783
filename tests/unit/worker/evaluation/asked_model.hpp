// A small random model, and ranks as threads that evaluate it.
#pragma once

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <utility>

#include "tests/support/thread_communicator.hpp"
#include "tests/unit/worker/model/golden_model.hpp"
#include "worker/communicators.hpp"
#include "worker/editing/values/edit_prompts.hpp"

namespace anchorage::tests {

class AskedModel : public testing::Test {
 protected:
  // Returns what `measure(const Communicators&)` gives to the last of so many ranks.
  template <class Measure>
  static auto measured(int size, Measure measure) {
    decltype(measure(std::declval<const worker::Communicators&>())) result;
    run_thread_world(size, [&](sharding::HostCommunicator& host) {
      torch::set_num_threads(1);
      const auto device = sharding::make_device_communicator(host, torch::kCPU);
      auto own = measure(worker::Communicators(host, *device));
      if (host.rank() == size - 1) result = std::move(own);
    });
    return result;
  }

  const io::ModelDirectory directory = golden_model("llama_tied").directory;
  const io::Tokenizer tokenizer = io::Tokenizer::load(directory.tokenizer());
  const worker::PromptBuilder prompts{tokenizer};
  worker::Transformer model = worker::load_transformer(directory);
};

}  // namespace anchorage::tests
