// A run's inbox: what is written is read again, whatever a killed process left at its end.
#include "io/run/inbox.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

Edit inbox_edit(const std::string& id, const std::string& target = "Ada") {
  return {.id = id, .subject = "Oslo", .prompt = "The mayor of {} is", .target = target, .author = "feed"};
}

class InboxTest : public testing::Test {
 protected:
  std::string text() const { return tests::content_of(path_); }

  tests::TemporaryDirectory folder_;
  const std::filesystem::path path_ = inbox_of(folder_.path());
};

TEST_F(InboxTest, IsReadAsItWasWrittenAndLaterLinesCount) {
  {
    Inbox inbox(path_, Inbox::Access::append);
    EXPECT_TRUE(inbox.edits().empty());
    inbox.add(std::vector{inbox_edit("a"), inbox_edit("b"), inbox_edit("c\n\"\u00e9")});
    Edit approved = inbox_edit("a");
    approved.approved_by = "kim";
    inbox.add(std::vector{approved});
    inbox.withdraw(std::vector<std::string>{"b", "never there"});
  }
  const Inbox inbox(path_);
  const auto edits = inbox.edits();
  ASSERT_THAT(edits, ElementsAre(Field(&Edit::id, "c\n\"\u00e9"), Field(&Edit::id, "a")));
  EXPECT_EQ(edits[1].approved_by, "kim");
  EXPECT_THAT(inbox.withdrawn(), ElementsAre("b", "never there"));
  Inbox(path_, Inbox::Access::append).add(std::vector{inbox_edit("b")});
  EXPECT_THAT(Inbox(path_).withdrawn(), ElementsAre("never there"));
}

TEST_F(InboxTest, ForgetsHalfALineOfAKilledProcess) {
  Inbox(path_, Inbox::Access::append).add(std::vector{inbox_edit("a"), inbox_edit("b")});
  const std::string whole = text();
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    folder_.write("inbox.jsonl", whole.substr(0, cut));
    const std::size_t lines = static_cast<std::size_t>(std::ranges::count(whole.substr(0, cut), '\n'));
    EXPECT_EQ(Inbox(path_).edits().size(), lines);
    Inbox continued(path_, Inbox::Access::append);
    continued.add(std::vector{inbox_edit("new")});
    EXPECT_EQ(Inbox(path_).edits().size(), lines + 1) << "cut at " << cut << ": " << text();
  }
}

TEST_F(InboxTest, NamesALineThatIsNoneOfIt) {
  Inbox(path_, Inbox::Access::append).add(std::vector{inbox_edit("a")});
  for (const std::string& line : {std::string("{}"), std::string("[]"), std::string(R"({"edit": {"id": "x"}})"),
                                  std::string(R"({"withdraw": 3})"), std::string("\xff")}) {
    folder_.write("inbox.jsonl", text().substr(0, text().find('\n') + 1) + line + "\n");
    EXPECT_THAT(tests::message_of([&] { Inbox inbox(path_); }), HasSubstr("inbox.jsonl, line 2")) << line;
  }
}

}  // namespace
}  // namespace anchorage::io
