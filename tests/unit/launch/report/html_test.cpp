// Nothing that a text holds becomes markup.
#include "launch/commands/report/html.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace anchorage::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Html, ATextIsEscapedWhereverItStands) {
  EXPECT_EQ(escape_markup("</script><img src=x onerror=\"a('b')\"> & c"),
            "&lt;/script&gt;&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt; &amp; c");
  EXPECT_EQ(element("td", {}, "<b>").str(), "<td>&lt;b&gt;</td>");
  EXPECT_EQ(element("a", {{"title", "\"><script>"}}, "x").str(), "<a title=\"&quot;&gt;&lt;script&gt;\">x</a>");
  EXPECT_EQ(svg_text(1, 2, "</text>").str(), "<text x=\"1\" y=\"2\">&lt;/text&gt;</text>");
  EXPECT_EQ(svg_box({1, 2, 3, 4}, {{"fill", "\""}}, "<").str(),
            "<rect x=\"1\" y=\"2\" width=\"3\" height=\"4\" fill=\"&quot;\"><title>&lt;</title></rect>");
}

TEST(Html, MarkupIsNotEscapedTwice) {
  EXPECT_EQ(element("p", {}, element("b", {}, "&")).str(), "<p><b>&amp;</b></p>");
}

TEST(Html, OtherScriptsStayAndWhatIsNoTextIsReplaced) {
  EXPECT_EQ(escape_markup("Zürich, 東京 🙂\n\t"), "Zürich, 東京 🙂\n\t");
  EXPECT_EQ(escape_markup(std::string_view("a\0b\x1B\x7F", 5)), "a\uFFFDb\uFFFD\uFFFD");
  EXPECT_THAT(escape_markup("\xC3(\xFF"), Not(HasSubstr("\xFF")));
}

TEST(Html, CoordinatesHaveAtMostOneDecimal) {
  EXPECT_EQ(coordinate(12), "12");
  EXPECT_EQ(coordinate(12.54), "12.5");
  EXPECT_EQ(coordinate(-0.04), "0");
  EXPECT_EQ(coordinate(-0.5), "-0.5");
  EXPECT_EQ(coordinate(100), "100");
}

}  // namespace
}  // namespace anchorage::launch
