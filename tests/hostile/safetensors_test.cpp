// Files that break one rule of the safetensors format each. All must be refused by a message that says the reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/error.hpp"
#include "io/model/safetensors.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/raw_safetensors.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io {
namespace {

using testing::HasSubstr;
using tests::raw_safetensors;

struct HostileFile {
  std::string name;
  std::string content;
  std::string reason;  // what the message must say
};

void PrintTo(const HostileFile& file, std::ostream* out) {
  *out << file.name;
}

constexpr std::string_view eight = "12345678";

// One tensor 'a', described as given, over 8 bytes of data.
std::string tensor_a(const std::string& description) {
  return raw_safetensors("{\"a\":" + description + "}", eight);
}

// Two tensors, over 8 bytes of data.
std::string tensors_a_and_b(const std::string& a, const std::string& b) {
  return raw_safetensors("{\"a\":" + a + ",\"b\":" + b + "}", eight);
}

std::string refusal_of_file(const std::filesystem::path& path) {
  return tests::message_of([&] { SafetensorsFile::open(path); });
}

class HostileSafetensors : public testing::TestWithParam<HostileFile> {};

TEST_P(HostileSafetensors, IsRefusedWithFileAndReason) {
  const tests::TemporaryDirectory directory;
  const std::string refusal = refusal_of_file(directory.write("x.safetensors", GetParam().content));
  EXPECT_THAT(refusal, HasSubstr(GetParam().reason));
  EXPECT_THAT(refusal, HasSubstr("x.safetensors"));
}

std::vector<HostileFile> hostile_headers() {
  return {
      {"EmptyFile", "", "found a file of 0 bytes"},
      {"ShorterThanALength", "1234567", "found a file of 7 bytes"},
      {"HeaderLongerThanTheFile", raw_safetensors(3, "{}", ""), "a safetensors header of at most 2 bytes, found 3"},
      {"HeaderLengthThatWrapsAround", raw_safetensors(UINT64_MAX - 7, "{}", ""), "found 18446744073709551608"},
      {"HeaderOfLengthZero", raw_safetensors("", ""), "found an empty one"},
      {"NotJson", raw_safetensors("{\"a\":", ""), "expected JSON"},
      {"PickleInsteadOfJson", raw_safetensors("\x80\x02}q", ""), "begins with '{'"},
      {"ArrayInsteadOfObject", raw_safetensors("[]", ""), "begins with '{'"},
      {"SpaceBeforeTheObject", raw_safetensors(" {}", ""), "begins with '{'"},
      {"TextAfterTheObject", raw_safetensors("{}{}", ""), "expected JSON"},
      {"InvalidUtf8InAName", raw_safetensors("{\"\xff\":1}", ""), "expected JSON"},
      {"NestedWithoutEnd", raw_safetensors("{\"a\":" + std::string(1'000'000, '['), ""), "nested at most 3 deep"},
      {"SameNameTwice",
       raw_safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                           "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                       eight),
       "'a' twice"},
      {"SameFieldTwice", tensor_a(R"({"dtype":"F16","dtype":"F32","shape":[2],"data_offsets":[0,8]})"),
       "'dtype' twice"},
      {"MetadataThatIsNotText", raw_safetensors(R"({"__metadata__":{"a":1}})", ""), "__metadata__ of strings"},
      {"MetadataThatIsAList", raw_safetensors(R"({"__metadata__":["a"]})", ""), "__metadata__ of strings"},
  };
}

std::vector<HostileFile> hostile_tensors() {
  return {
      {"TensorThatIsANumber", tensor_a("7"), "tensor 'a'"},
      {"NoDtype", tensor_a(R"({"shape":[2],"data_offsets":[0,8]})"), "the field 'dtype'"},
      {"NoShape", tensor_a(R"({"dtype":"F32","data_offsets":[0,8]})"), "the field 'shape'"},
      {"NoOffsets", tensor_a(R"({"dtype":"F32","shape":[2]})"), "the field 'data_offsets'"},
      {"UnknownDtype", tensor_a(R"({"dtype":"F31","shape":[2],"data_offsets":[0,8]})"), "found 'F31'"},
      {"DtypeThatIsANumber", tensor_a(R"({"dtype":32,"shape":[2],"data_offsets":[0,8]})"), "the dtype's name"},
      {"NegativeDimension", tensor_a(R"({"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]})"), "found [-2,-1]"},
      {"BrokenDimension", tensor_a(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), "found [2.0]"},
      {"DimensionBeyond63Bits", tensor_a(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})"),
       "integers from 0 to 2^63-1"},
      {"ElementsThatOverflow",
       tensor_a(R"({"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]})"), "fits 64 bits"},
      {"SizeThatOverflows", tensor_a(R"({"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,8]})"),
       "fits 64 bits"},
      {"ShapeThatIsANumber", tensor_a(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), "found 2"},
      {"OneOffset", tensor_a(R"({"dtype":"F32","shape":[2],"data_offsets":[8]})"), "found [8]"},
      {"NegativeOffset", tensor_a(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})"), "found [-8,0]"},
      {"OffsetsInReverse", tensor_a(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "found [8,0]"},
      {"OffsetsBehindTheData", tensor_a(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})"),
       "within the 8 bytes"},
      {"OffsetsThatWrapAround",
       tensor_a(R"({"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615]})"),
       "within the 8 bytes"},
      {"FewerBytesThanTheShapeNeeds", tensor_a(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
       "found 8 bytes"},
      {"MoreBytesThanTheShapeNeeds", tensor_a(R"({"dtype":"F16","shape":[3],"data_offsets":[0,8]})"),
       "found 8 bytes"},
      {"HalfAByte", tensor_a(R"({"dtype":"F4","shape":[15],"data_offsets":[0,8]})"), "60 bits of data"},
      {"TruncatedData", raw_safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234567"),
       "within the 7 bytes"},
  };
}

std::vector<HostileFile> hostile_layouts() {
  const std::string whole = R"({"dtype":"U8","shape":[8],"data_offsets":[0,8]})";
  return {
      {"Overlap",
       tensors_a_and_b(R"({"dtype":"U8","shape":[5],"data_offsets":[0,5]})",
                       R"({"dtype":"U8","shape":[5],"data_offsets":[3,8]})"),
       "tensor 'b'"},
      {"TwoTensorsOverTheSameBytes", tensors_a_and_b(whole, whole), "tensor 'b'"},
      {"EmptyTensorInsideAnother", tensors_a_and_b(whole, R"({"dtype":"U8","shape":[0],"data_offsets":[4,4]})"),
       "tensor 'b'"},
      {"HoleAtTheFront", tensor_a(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), "begin at byte 0"},
      {"HoleInTheMiddle",
       tensors_a_and_b(R"({"dtype":"U8","shape":[3],"data_offsets":[0,3]})",
                       R"({"dtype":"U8","shape":[3],"data_offsets":[5,8]})"),
       "begin at byte 3"},
      {"BytesBehindTheLastTensor", tensor_a(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"),
       "4 bytes of data, as the header says, found 8"},
      {"DataWithoutTensors", raw_safetensors("{}", eight), "0 bytes of data, as the header says, found 8"},
  };
}

const auto name_of_instance = [](const auto& instance) { return instance.param.name; };
INSTANTIATE_TEST_SUITE_P(Header, HostileSafetensors, testing::ValuesIn(hostile_headers()), name_of_instance);
INSTANTIATE_TEST_SUITE_P(Tensor, HostileSafetensors, testing::ValuesIn(hostile_tensors()), name_of_instance);
INSTANTIATE_TEST_SUITE_P(Layout, HostileSafetensors, testing::ValuesIn(hostile_layouts()), name_of_instance);

TEST(HostileSafetensorsFile, HeaderOfMoreThan100MBIsRefusedUnread) {
  const tests::TemporaryDirectory directory;
  const auto path = directory.write("long", raw_safetensors(100'000'001, "{", ""));
  std::filesystem::resize_file(path, 100'000'100);  // sparse
  EXPECT_THAT(refusal_of_file(path), HasSubstr("at most 100000000 bytes, found 100000001"));
}

constexpr const char* good_tensor = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

TEST(HostileSafetensorsFile, IsRefusedWhereverItIsCutOff) {
  const std::string good = tensor_a(good_tensor);
  const tests::TemporaryDirectory directory;
  ASSERT_EQ(refusal_of_file(directory.write("good", good)), "no error");
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(refusal_of_file(directory.write("cut", good.substr(0, size))), "no error") << size << " bytes";
  }
}

TEST(HostileSafetensorsFile, IsRefusedOrReadWithinItsBoundsWhateverByteIsChanged) {
  const std::string good = tensor_a(good_tensor);
  const tests::TemporaryDirectory directory;
  for (std::size_t place = 0; place < good.size() - eight.size(); ++place) {
    for (const char changed : {'\0', '"', '}', '[', '9', '\xff'}) {
      std::string bad = good;
      bad[place] = changed;
      try {
        const SafetensorsFile file = SafetensorsFile::open(directory.write("bad", bad));
        for (const StoredTensor& tensor : file.tensors()) EXPECT_EQ(tensor.bytes.back(), std::byte{'8'});
      } catch (const UserError&) {
        // Refused, as most of them are.
      }
    }
  }
}

}  // namespace
}  // namespace anchorage::io
