#include "io/date.hpp"

#include <gtest/gtest.h>

namespace anchorage::io {
namespace {

TEST(Date, IsReadAndWrittenAlike) {
  for (const char* text : {"2026-11-29", "2024-02-29", "0001-01-01"}) {
    const auto date = date_of(text);
    ASSERT_TRUE(date) << text;
    EXPECT_EQ(text_of(*date), text);
  }
}

TEST(Date, OfAnotherFormOrOfNoDayIsNone) {
  for (const char* text :
       {"", "2026-11", "2026-11-29T10:00:00Z", "29.11.2026", "2026-11-31", "2025-02-29", "2026-13-01", "2026-00-10",
        "2026-1-1 ", "-026-11-29", "2026-+1-29", "20261129", "2026-11-2x"})
    EXPECT_FALSE(date_of(text)) << text;
}

TEST(Date, DaysAreOrdered) {
  EXPECT_LT(*date_of("2026-09-30"), *date_of("2026-10-01"));
  EXPECT_LT(*date_of("2025-12-31"), today());
}

}  // namespace
}  // namespace anchorage::io
