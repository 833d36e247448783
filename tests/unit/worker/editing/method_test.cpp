#include "worker/editing/method.hpp"
#include "tests/support/places.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::worker {
namespace {

using testing::HasSubstr;

TEST(Method, HasStrategiesThatGoTogether) {
  for (const Method& method : methods()) EXPECT_NO_THROW(check_strategies(method)) << method.name;
  Method other = method_named("b-eac");
  other.values = ValueRule::last_layer;
  EXPECT_THROW(check_strategies(other), io::InternalError);
  other = method_named("alphaedit");
  other.prior = Prior::second_moment;
  EXPECT_THROW(check_strategies(other), io::InternalError);
}

TEST(Method, OfAnotherNameIsRefusedWithTheNamesThatThereAre) {
  EXPECT_THAT(tests::message_of([] { method_named("rome"); }),
              HasSubstr("a method out of b-eac, memit, memit_seq, eac, alphaedit, found 'rome'"));
}

TEST(Method, IsListedByWhatHolds) {
  EXPECT_EQ(methods_that([](const Method& one) { return one.prior == Prior::ridge; }), "alphaedit");
  EXPECT_EQ(methods_that([](const Method& one) { return one.carries_keys; }), "b-eac, memit_seq, eac or alphaedit");
}

TEST(Method, IsInTheDocuments) {
  const std::string document = tests::content_of(tests::source_path() + "/docs/method.md");
  for (const Method& method : methods()) {
    EXPECT_THAT(document, HasSubstr(fmt::format("| `{}` |", method.name)));
  }
}

TEST(Method, CompressesWhereItsValuesAreTransformedAndAnchorsAreOn) {
  const io::Hparams on, off{.anchors = false};
  EXPECT_TRUE(compresses(method_named("eac"), off));
  EXPECT_TRUE(compresses(method_named("b-eac"), on));
  EXPECT_FALSE(compresses(method_named("b-eac"), off));
  EXPECT_FALSE(compresses(method_named("memit_seq"), on));
}

}  // namespace
}  // namespace anchorage::worker
