#include "worker/kernels/rotation.hpp"

#include "tests/unit/worker/kernels/kernel_cases.hpp"

namespace anchorage::worker::kernels {
namespace {

using tests::random_angles;
using tests::random_values;

TEST(Rotation, TheFusedFormGivesWhatTheReferenceGives) {
  torch::manual_seed(1);
  tests::with_each_instruction_set([](const std::string& name) {
    for (const torch::ScalarType dtype : tests::kernel_dtypes) {
      for (const io::RotaryPairs pairs : {io::RotaryPairs::halves, io::RotaryPairs::neighbors}) {
        for (const std::int64_t turned : {2, 6, 40}) {
          for (const bool back : {false, true}) {
            const auto rotation = random_angles(pairs, 5, turned, dtype);
            const auto joined = random_values({5, 4, 40}, dtype);
            auto fused = joined.clone(), reference = joined.clone();
            rotate_in_place(rotation, fused, 3, back, true);
            rotate_in_place(rotation, reference, 3, back, false);
            tests::expect_near(fused, reference, name);
            EXPECT_TRUE(fused.select(1, 3).equal(joined.select(1, 3)));
            EXPECT_TRUE(fused.narrow(2, turned, 40 - turned).equal(joined.narrow(2, turned, 40 - turned)));
          }
        }
      }
    }
  });
}

TEST(Rotation, BackTakesWhatWasTurnedToWhereItWas) {
  torch::manual_seed(2);
  for (const io::RotaryPairs pairs : {io::RotaryPairs::halves, io::RotaryPairs::neighbors}) {
    for (const bool fused : {false, true}) {
      const auto rotation = random_angles(pairs, 3, 8, torch::kDouble);
      const auto joined = random_values({3, 2, 10}, torch::kDouble);
      auto turned = joined.clone();
      rotate_in_place(rotation, turned, 2, false, fused);
      EXPECT_GT((turned - joined).abs().max().item<double>(), 0.1);
      rotate_in_place(rotation, turned, 2, true, fused);
      tests::expect_near(turned, joined, fused ? "fused" : "reference");
    }
  }
}

}  // namespace
}  // namespace anchorage::worker::kernels
