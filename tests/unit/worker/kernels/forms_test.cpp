#include "worker/kernels/forms.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"

namespace anchorage::worker::kernels {
namespace {

using Names = std::vector<std::string>;

TEST(Forms, AllAreFusedButThoseThatAreNamed) {
  EXPECT_EQ(all_but(Names{}, "a list"), Forms{});
  Forms expected;
  expected.gate = expected.loss = false;
  EXPECT_EQ(all_but(Names{"loss", "gate"}, "a list"), expected);
  EXPECT_EQ(all_but(Names{"all"}, "a list"), Forms::references());
  EXPECT_EQ(all_but(Names{"block", "norm", "gate", "rotation", "attention", "loss"}, "a list"),
            Forms::references());
}

TEST(Forms, AnotherNameIsRefusedWithThoseThatThereAre) {
  const std::string message = tests::message_of<io::UserError>([] {
    (void)all_but(Names{"norm", "softmax"}, "a list");
  });
  EXPECT_THAT(message, testing::AllOf(testing::HasSubstr("softmax"), testing::HasSubstr("a list"),
                                      testing::HasSubstr("rotation, attention, loss, or all")));
}

}  // namespace
}  // namespace anchorage::worker::kernels
