#include "io/files/digest.hpp"

#include <gtest/gtest.h>

#include <string_view>

#include "io/error.hpp"
#include "tests/support/temporary_directory.hpp"

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

TEST(Digest, MayBeAskedAndGoOn) {
  Sha256 digest;
  digest.update("ab");
  EXPECT_EQ(digest.hex(), sha256_hex("ab"));
  digest.update("c");
  EXPECT_EQ(digest.hex(), sha256_hex("abc"));
}

TEST(Digest, OfAFileIsThatOfItsBytes) {
  const tests::TemporaryDirectory directory;
  const std::string content(3'000'000, 'a');
  EXPECT_EQ(sha256_of_file(directory.write("x", content)), sha256_hex(content));
  EXPECT_THROW(sha256_of_file(directory.path() / "y"), SystemError);
}

}  // namespace
}  // namespace anchorage::io
