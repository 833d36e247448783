// The measured speed of blocks: that it can be measured for what a model has, not how fast a machine is.
#include "worker/model/block_speed.hpp"

#include <gtest/gtest.h>

#include "tests/unit/worker/model/golden_model.hpp"

namespace anchorage::worker {
namespace {

TEST(BlockSpeed, IsMeasuredForEachDtypeAndForNormsAfterTheMlp) {
  for (const char* name : {"llama_tied", "gemma2"}) {
    const io::ModelConfig config = tests::golden_model(name).directory.config();
    for (const io::DType dtype : {io::DType::f32, io::DType::bf16})
      EXPECT_GT(measured_block_flops(config, 20, dtype), 0) << name;
  }
}

}  // namespace
}  // namespace anchorage::worker
