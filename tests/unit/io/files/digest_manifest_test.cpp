#include "io/files/digest_manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

class DigestManifest : public testing::Test {
 protected:
  // Whether sha256sum finds every file as the manifest says.
  bool holds() const {
    const std::string command =
        "cd '" + directory_.path().string() + "' && sha256sum --check --strict --quiet SHA256SUMS";
    return std::system((command + " > /dev/null 2>&1").c_str()) == 0;
  }

  tests::TemporaryDirectory directory_;
};

TEST_F(DigestManifest, IsWhatSha256sumChecks) {
  directory_.write("b", "two");
  directory_.write("a.txt", "one");
  directory_.write("folder/with a space", "");
  directory_.write("odd\\name\nof two lines", "three");
  write_digest_manifest(directory_.path());
  EXPECT_TRUE(holds());
  directory_.write("b", "owt");
  EXPECT_FALSE(holds());
}

TEST_F(DigestManifest, ListsEveryFileButItselfByName) {
  directory_.write("b", "");
  directory_.write("a/c", "");
  directory_.write(digest_manifest_name, "an earlier one");
  write_digest_manifest(directory_.path());
  const std::string nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  EXPECT_EQ(tests::content_of(directory_.path() / digest_manifest_name), nothing + "  a/c\n" + nothing + "  b\n");
}

}  // namespace
}  // namespace anchorage::io
