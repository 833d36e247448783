#include "coordinator/guard.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "tests/unit/coordinator/scripted_workers.hpp"

namespace anchorage::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

sharding::BatchApplied sound_batch() {
  return apply({.edits = {{.id = "a"}, {.id = "b"}, {.id = "c"}, {.id = "d"}}});
}

TEST(Guard, AcceptsABatchWithinItsLimitsAndTellsWhatItMeasured) {
  const Judgment judgment = judge(sound_batch(), {});
  EXPECT_THAT(judgment.rejections, IsEmpty());
  ASSERT_EQ(judgment.probes.size(), 3U);
  EXPECT_EQ(judgment.probes[0].name, "success");
  EXPECT_EQ(judgment.probes[0].after, 1);
  EXPECT_EQ(judgment.probes[1], sound_batch().heldout_loss);
  EXPECT_EQ(judgment.probes[2].name, "change of layer 4");
  EXPECT_EQ(judgment.probes[2].after, 0.125);
}

TEST(Guard, ObjectsToEditsThatDidNotTake) {
  auto applied = sound_batch();
  for (std::size_t i = 0; i < 3; ++i) {
    applied.edits[i].nll_after = applied.edits[i].nll_before + 1;
    applied.edits[i].match_after = false;
  }
  EXPECT_THAT(judge(applied, {}).rejections, ElementsAre(HasSubstr("0.250 of the edits (limit 0.5)")));
  applied.edits[0].match_after = true;  // every token is the argmax: it succeeds
  EXPECT_TRUE(judge(applied, {}).accepted());
}

TEST(Guard, RejectsABatchThatBreaksACanaryAndNoneThatDidNotHoldBefore) {
  auto applied = sound_batch();
  io::CanaryLook look{
      .id = "ceo", .prompt = "The CEO is", .expected = "Ada", .said_before = "Ada", .said_after = "Bob"};
  applied.canaries = {look, look};
  applied.canaries[1].holds = true;
  Judgment judgment = judge(applied, {});
  EXPECT_TRUE(judgment.accepted());
  EXPECT_EQ(judgment.probes.back(), (io::ProbeRecord{.name = "canaries that hold", .before = 0, .after = 1}));
  applied.canaries[0].held_before = true;
  judgment = judge(applied, {});
  EXPECT_THAT(judgment.rejections,
              ElementsAre("canary 'ceo' broke: to 'The CEO is' the model says 'Bob', expected 'Ada'"));
  GuardLimits off;
  off.on = false;
  EXPECT_TRUE(judge(applied, off).accepted());
}

TEST(Guard, DoesNotCountEditsThatWereSetAside) {
  auto applied = sound_batch();
  for (std::size_t i = 0; i < 3; ++i) {
    applied.edits[i].state = io::EditState::set_aside;
    applied.edits[i].nll_after = applied.edits[i].nll_before + 1;
    applied.edits[i].match_after = false;
  }
  EXPECT_TRUE(judge(applied, {}).accepted());
}

TEST(Guard, HasNothingToSayWhereEveryEditWasSetAside) {
  auto applied = sound_batch();
  for (io::EditRecord& edit : applied.edits) edit.state = io::EditState::set_aside;
  applied.heldout_loss.after = 100;
  EXPECT_TRUE(judge(applied, {}).accepted());
  EXPECT_THAT(judge(applied, {}).probes, IsEmpty());
}

TEST(Guard, ObjectsToALossThatRosePastItsLimit) {
  auto applied = sound_batch();
  applied.heldout_loss.after = applied.heldout_loss.before + 0.3;
  EXPECT_EQ(judge(applied, {}).text(), "the held-out loss rose by 0.300 nats (limit 0.25)");
  EXPECT_TRUE(judge(applied, {.loss_rise = 0.5}).accepted());
}

TEST(Guard, ObjectsToALayerThatChangedPastItsLimit) {
  auto applied = sound_batch();
  applied.layers[0].norms = {.update = 48, .total = 49, .base = 8};
  EXPECT_EQ(judge(applied, {}).text(), "layer 4 changed by 6.000 of its weight's norm (limit 5)");
}

TEST(Guard, CountsWhatTookSupersededEditsOut) {
  auto applied = sound_batch();
  applied.layers[0].norms = {.update = 24, .total = 49, .base = 8};
  EXPECT_TRUE(judge(applied, {}).accepted());
  applied.removal.layers = {{.layer = 3, .keys = {}, .u = {}, .v = {}, .norms = {.update = 800, .base = 8}},
                            {.layer = 4, .keys = {}, .u = {}, .v = {}, .norms = {.update = 24, .base = 8}}};
  EXPECT_EQ(judge(applied, {}).text(), "layer 4 changed by 6.000 of its weight's norm (limit 5)");
}

TEST(Guard, ObjectsToNumbersThatAreNotFinite) {
  auto applied = sound_batch();
  applied.heldout_loss.after = std::numeric_limits<double>::quiet_NaN();
  applied.layers[0].norms.update = std::numeric_limits<double>::infinity();
  EXPECT_EQ(judge(applied, {}).rejections.size(), 2U);
  EXPECT_TRUE(judge(applied, {.on = false}).accepted());
}

}  // namespace
}  // namespace anchorage::coordinator
