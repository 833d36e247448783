// Norms of targets: measured as found, and scaled where target_norm says so (docs/method.md section 3).
#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/worker/editing/editor_test.hpp"

namespace anchorage::worker {
namespace {

class TargetNorm : public tests::EditorTest {
 protected:
  // Applies one batch.
  BatchResult applied(const char* method, const sharding::Topology& topology = {1, 1}) {
    return edit(method, topology, tests::seven_edits(), 7).batches.front();
  }
};

// The first layer writes its share of c (z + delta) / |z + delta| - z, which is linear in c.
TEST_F(TargetNorm, IsThatOfEveryTarget) {
  options.target_norm = 30;
  const BatchResult longer = applied("memit_seq");
  options.target_norm = 10;
  const BatchResult shorter = applied("memit_seq");
  const auto difference = longer.layers.front().residuals - shorter.layers.front().residuals;
  const double share = 20.0 / static_cast<double>(longer.layers.size());
  const auto lengths = difference.norm(2, 1);
  EXPECT_TRUE(lengths.sub(share).abs().lt(1e-4 * share).all().item<bool>()) << lengths;
}

TEST_F(TargetNorm, IsMeasuredAsFound) {
  const double found = applied("memit_seq").target_norm;
  EXPECT_GT(found, 0);
  options.target_norm = 30;
  EXPECT_EQ(applied("memit_seq").target_norm, found);
  EXPECT_EQ(applied("memit_seq", {2, 1}).target_norm, found);
  EXPECT_EQ(applied("memit_seq", {1, 2}).target_norm, found);
}

TEST_F(TargetNorm, IsNotMeasuredWhereEditsHaveAVectorInEveryLayer) {
  EXPECT_TRUE(std::isnan(applied("b-eac").target_norm));
}

// What the search came to is known before anything is written, of all edits, wherever they are.
TEST_F(TargetNorm, StandsBesideTheLossesOfTheValues) {
  for (const char* method : {"memit_seq", "eac", "b-eac"}) {
    const auto found = applied(method).values;
    EXPECT_GT(found.nll, 0) << method;
    EXPECT_GE(found.match, 0) << method;
    EXPECT_LE(found.match, 1) << method;
    for (const sharding::Topology& topology : {sharding::Topology{2, 1}, {1, 2}, {2, 2}}) {
      EXPECT_EQ(applied(method, topology).values.nll, found.nll) << method;
      EXPECT_EQ(applied(method, topology).values.match, found.match) << method;
    }
  }
}

}  // namespace
}  // namespace anchorage::worker
