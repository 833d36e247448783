#include "io/digest.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace anchorage::io {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// FIPS 180-4's examples.
TEST(Digest, IsSha256) {
  EXPECT_EQ(sha256_hex(bytes_of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, DoesNotDependOnHowTheBytesAreDivided) {
  Sha256 digest;
  digest.update(bytes_of("a"));
  digest.update(bytes_of(""));
  digest.update(bytes_of("bc"));
  EXPECT_EQ(digest.hex(), sha256_hex(bytes_of("abc")));
}

}  // namespace
}  // namespace anchorage::io
