// Files of tokens: which are taken, and what is said of the others.
#include "coordinator/service/access.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::coordinator {
namespace {

using testing::HasSubstr;

class AccessTest : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& text, std::filesystem::perms mode = std::filesystem::perms(0600)) {
    const auto path = folder_.write("tokens", text);
    std::filesystem::permissions(path, mode);
    return path;
  }
  std::string refusal(const std::string& text) {
    return tests::message_of([&] { Access::read(file(text)); });
  }
  tests::TemporaryDirectory folder_;
};

TEST_F(AccessTest, KnowsEachTokensRoleAndName) {
  const auto access =
      Access::read(file("# of the team\n\nreader-0123456789 read\n writer-0123456789\twrite \n"
                        "approver-0123456789 approve  Kim Lee \n"));
  EXPECT_EQ(access.bearer_of("reader-0123456789").role, Role::read);
  EXPECT_EQ(access.bearer_of("writer-0123456789").role, Role::write);
  EXPECT_EQ(access.bearer_of("writer-0123456789").name, "");
  EXPECT_EQ(access.bearer_of("approver-0123456789").role, Role::approve);
  EXPECT_EQ(access.bearer_of("approver-0123456789").name, "Kim Lee");
  EXPECT_EQ(access.bearer_of("reader-012345678").role, Role::none);
  EXPECT_EQ(access.bearer_of("").role, Role::none);
  EXPECT_TRUE(access.is_named("Kim Lee"));
  EXPECT_FALSE(access.is_named("Kim") || access.is_named(""));
}

TEST_F(AccessTest, RefusesAFileThatIsNoneOrIsOpenToOthers) {
  EXPECT_THAT(refusal("a-token-that-is-long\n"), HasSubstr("found a token alone, "));
  EXPECT_THAT(refusal("a-token-that-is-long admin\n"), HasSubstr("a token and 'admin'"));
  EXPECT_THAT(refusal("a-token-that-is-long none\n"), HasSubstr("a token and 'none'"));
  EXPECT_THAT(refusal("a-token-that-is-long read # mine\n"), HasSubstr("without control characters and '#'"));
  EXPECT_THAT(refusal("a-token-that-is-long read \xff\n"), HasSubstr("a name in UTF-8"));
  EXPECT_THAT(refusal("short read\n"), HasSubstr("at least 16 characters"));
  EXPECT_THAT(refusal("a-token-that-is-long read\na-token-that-is-long write\n"), HasSubstr("tokens, line 2"));
  EXPECT_THAT(refusal("# nothing\n"), HasSubstr("no such line"));
  EXPECT_THAT(tests::message_of([&] { Access::read(folder_.path() / "none"); }),
              HasSubstr("none that can be read"));
  const auto open = file("a-token-that-is-long read\n", std::filesystem::perms(0644));
  EXPECT_THAT(tests::message_of([&] { Access::read(open); }), HasSubstr("chmod 600"));
}

}  // namespace
}  // namespace anchorage::coordinator
