#include "sharding/activities.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <span>
#include <thread>

#include "io/error.hpp"
#include "tests/support/thread_communicator.hpp"

namespace anchorage::sharding {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::Key;
using testing::Le;
using testing::UnorderedElementsAre;
using Kind = Activities::Kind;
using Scope = Activities::Scope;

constexpr double slept = 0.02;

void sleep() {
  std::this_thread::sleep_for(std::chrono::duration<double>(slept));
}

double sum_of(const Activities& activities) {
  double sum = activities.idle();
  for (const auto& [name, seconds] : activities.activities()) sum += seconds;
  for (const auto& [name, seconds] : activities.waits()) sum += seconds;
  return sum;
}

TEST(Activities, EveryMomentCountsOnceForTheInnermostScope) {
  Activities activities;
  activities.start();
  sleep();
  {
    const Scope batch(&activities, Kind::activity, "batch");
    sleep();
    for (int i = 0; i < 2; ++i) {
      const Scope values(&activities, Kind::activity, "values");
      sleep();
      const Scope wait(&activities, Kind::wait, "receive");
      sleep();
    }
  }
  activities.stop();
  EXPECT_THAT(activities.activities(), UnorderedElementsAre(Key("batch"), Key("values")));
  EXPECT_THAT(activities.waits(), UnorderedElementsAre(Key("receive")));
  EXPECT_GE(activities.idle(), slept);
  EXPECT_GE(activities.activities().at("batch"), slept);
  EXPECT_GE(activities.activities().at("values"), 2 * slept);
  EXPECT_GE(activities.waits().at("receive"), 2 * slept);
  EXPECT_NEAR(sum_of(activities), activities.total(), 1e-9);
  const double busy = activities.activities().at("batch") + activities.activities().at("values");
  EXPECT_DOUBLE_EQ(activities.busy_share(), busy / activities.total());
}

TEST(Activities, AWaitInAWaitCountsForTheOuterOneAndOutsideOfActivitiesIsIdle) {
  Activities activities;
  activities.start(10);
  {
    const Scope command(&activities, Kind::wait, "receive command");
    sleep();
  }
  {
    const Scope batch(&activities, Kind::activity, "batch");
    const Scope gather(&activities, Kind::wait, "gather keys");
    const Scope rows(&activities, Kind::wait, "gather rows");
    sleep();
  }
  activities.stop();
  EXPECT_GE(activities.idle(), slept);
  ASSERT_THAT(activities.waits(), UnorderedElementsAre(Key("gather keys")));
  EXPECT_GE(activities.waits().at("gather keys"), slept);
  EXPECT_EQ(activities.intervals().size(), 2U);
}

TEST(Activities, CountOnlyBetweenStartAndStop) {
  Activities activities;
  { const Scope early(&activities, Kind::activity, "early"); }
  { const Scope nowhere(nullptr, Kind::activity, "nowhere"); }
  activities.start(10);
  activities.stop();
  { const Scope late(&activities, Kind::activity, "late"); }
  EXPECT_TRUE(activities.activities().empty());
  EXPECT_TRUE(activities.intervals().empty());
  EXPECT_EQ(Activities().busy_share(), 0);
}

TEST(Activities, ProductsAreThoseOfTheInnermostActivityWhileItCounts) {
  Activities activities;
  activities.count_products(1, 0.1);
  activities.start();
  activities.count_products(2, 0.2);
  {
    const Activities::Scope values(&activities, Activities::Kind::activity, "values");
    const Activities::Scope forward(&activities, Activities::Kind::activity, "forward");
    activities.count_products(30, 0.5);
    activities.count_products(4, 0.25);
    const Activities::Scope wait(&activities, Activities::Kind::wait, "gather");
    activities.count_products(5, 5);
  }
  activities.stop();
  activities.count_products(6, 6);
  EXPECT_THAT(activities.flops(), testing::ElementsAre(testing::Pair("forward", 34)));
  EXPECT_THAT(activities.product_seconds(), testing::ElementsAre(testing::Pair("forward", 0.75)));
  activities.start();
  activities.stop();
  EXPECT_TRUE(activities.flops().empty());
  EXPECT_TRUE(activities.product_seconds().empty());
}

TEST(Activities, ProductsOfUnknownSecondsCountTheirFlops) {
  Activities activities;
  activities.start();
  {
    const Scope forward(&activities, Kind::activity, "forward");
    activities.count_products(30, 0);
  }
  activities.stop();
  EXPECT_THAT(activities.flops(), testing::ElementsAre(testing::Pair("forward", 30)));
  EXPECT_TRUE(activities.product_seconds().empty());
}

// What a listener is told, a word a call.
class Written : public Activities::Listener {
 public:
  void opened(std::string_view name) override { told += fmt::format("({} ", name); }
  void closed() override { told += ") "; }
  void passed(std::string_view name) override { told += fmt::format("{} ", name.empty() ? "-" : name); }
  std::string told;
};

TEST(Activities, AListenerIsToldOfEveryBoundaryAndWhoseTimePassed) {
  Activities activities;
  Written written;
  activities.listen_with(&written);
  { const Scope before(&activities, Kind::activity, "before"); }
  activities.start();
  {
    const Scope values(&activities, Kind::activity, "values");
    const Scope wait(&activities, Kind::wait, "gather");
    const Scope in_it(&activities, Kind::wait, "rows");
  }
  activities.stop();
  EXPECT_EQ(written.told, "- (values values (gather gather ) values ) - ");
}

TEST(Activities, EndOnlyWhenAllScopesHave) {
  Activities activities;
  activities.start();
  const Scope open(&activities, Kind::activity, "values");
  EXPECT_THROW(activities.stop(), io::InternalError);
  EXPECT_THROW(activities.start(), io::InternalError);
}

TEST(Activities, KeepTheFirstIntervalsAndSayThatThereWereMore) {
  Activities activities;
  activities.start(3);
  {
    const Scope batch(&activities, Kind::activity, "batch");
    for (int i = 0; i < 5; ++i) const Scope values(&activities, Kind::activity, "values");
  }
  activities.stop();
  EXPECT_TRUE(activities.is_cut_off());
  ASSERT_EQ(activities.intervals().size(), 3U);
  const auto& batch = activities.intervals()[0];
  EXPECT_EQ(batch.name, "batch");
  for (const auto& values : std::span(activities.intervals()).last(2)) {
    EXPECT_EQ(values.name, "values");
    EXPECT_THAT(values.begin, AllOf(Ge(batch.begin), Le(values.end)));
    EXPECT_LE(values.end, batch.end);
  }
  activities.start();
  { const Scope values(&activities, Kind::activity, "values"); }
  activities.stop();
  EXPECT_TRUE(activities.intervals().empty());
  EXPECT_FALSE(activities.is_cut_off()) << "none were asked for";
}

TEST(Activities, ACallOfACommunicatorAndOfItsPartsIsAWait) {
  tests::run_thread_world(2, [](HostCommunicator& world) {
    Activities activities;
    world.record_in(activities);
    const auto part = world.split(0, "split");
    activities.start();
    {
      const auto activity = part->activity("values");
      if (world.rank() == 1) sleep();
      part->barrier("wait for values");
    }
    world.barrier("wait for all");
    activities.stop();
    ASSERT_THAT(activities.activities(), UnorderedElementsAre(Key("values")));
    ASSERT_THAT(activities.waits(), UnorderedElementsAre(Key("wait for values")));
    EXPECT_NEAR(sum_of(activities), activities.total(), 1e-9);
    if (world.rank() == 1) {
      EXPECT_GE(activities.activities().at("values"), slept);
    }
    EXPECT_GT(activities.busy_share(), 0);
    EXPECT_LE(activities.busy_share(), 1);
  });
}

}  // namespace
}  // namespace anchorage::sharding
