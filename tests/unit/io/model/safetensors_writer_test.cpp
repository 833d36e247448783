#include "io/model/safetensors_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "io/error.hpp"
#include "io/model/safetensors.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::ElementsAre;

const std::string text = "abcdefgh";

NamedTensor tensor_of(const std::string& name, std::size_t elements) {
  return {name,
          {DType::f16, {static_cast<std::int64_t>(elements)}, std::as_bytes(std::span(text.data(), 2 * elements))}};
}

class SafetensorsWriter : public testing::Test {
 protected:
  tests::TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_.path() / "x.safetensors";
};

TEST_F(SafetensorsWriter, KeepsTheOrderGiven) {
  write_safetensors(path_, std::vector{tensor_of("z", 2), tensor_of("a", 1), tensor_of("m", 3)});
  EXPECT_THAT(SafetensorsFile::open(path_).names(), ElementsAre("z", "a", "m"));
  EXPECT_THAT(tests::content_of(path_), testing::EndsWith("abcdababcdef"));
}

TEST_F(SafetensorsWriter, BeginsTheDataAtAMultipleOfEight) {
  for (const std::string name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"}) {
    write_safetensors(path_, std::vector{tensor_of(name, 1)});
    const SafetensorsFile file = SafetensorsFile::open(path_);
    EXPECT_EQ((file.at(name).bytes.data() - file.bytes().data()) % 8, 0) << name;
  }
}

TEST_F(SafetensorsWriter, WritesTheMetadataGiven) {
  write_safetensors(path_, {}, {{"batch", "7"}});
  EXPECT_THAT(SafetensorsFile::open(path_).metadata(), ElementsAre(testing::Pair("batch", "7")));
}

// Lets no file of this process grow beyond `bytes`: what is written after that fails, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit = {bytes, old_limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  void (*old_handler_)(int);
  rlimit old_limit_ = {};
};

TEST_F(SafetensorsWriter, LeavesTheOldFileAndNothingElseWhereItCannotWriteTheNewOne) {
  write_safetensors(path_, std::vector{tensor_of("old", 1)});
  {
    const FileSizeLimit limit(16);
    EXPECT_THROW(write_safetensors(path_, std::vector{tensor_of("new", 1)}), SystemError);
  }
  EXPECT_THAT(SafetensorsFile::open(path_).names(), ElementsAre("old"));
  const auto files = std::filesystem::directory_iterator(directory_.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(SafetensorsWriter, RefusesASizeThatIsNotTheShapes) {
  NamedTensor wrong = tensor_of("a", 2);
  wrong.tensor.shape = {3};
  EXPECT_THROW(write_safetensors(path_, std::vector{wrong}), InternalError);
}

TEST_F(SafetensorsWriter, RefusesANameGivenTwice) {
  EXPECT_THROW(write_safetensors(path_, std::vector{tensor_of("a", 1), tensor_of("a", 1)}), InternalError);
}

}  // namespace
}  // namespace anchorage::io
