#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "io/error.hpp"
#include "io/files/atomic_file.hpp"
#include "io/hdf5/file.hpp"
#include "tests/support/message_of.hpp"
#include "tests/support/temporary_directory.hpp"

namespace anchorage::io::hdf5 {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Hdf5 : public testing::Test {
 protected:
  // A file with what `fill` puts into its root.
  template <class Fill>
  File made(Fill fill) const {
    NewFile content(path());
    fill(content.root());
    write(content);
    return File::open(path());
  }
  void write(NewFile& content) const {
    AtomicFile file(path());
    file.write(content.bytes());
    file.commit();
  }
  std::filesystem::path path() const { return directory_.path() / "x.h5"; }

  tests::TemporaryDirectory directory_;
};

using tests::message_of;

TEST_F(Hdf5, GivesBackAttributesOfEveryKind) {
  const File file = made([](Group& root) {
    root.set_attribute("text", std::string("Zürich 🙂"));
    root.set_attribute("empty", std::string());
    root.set_attribute("integer", std::numeric_limits<std::int64_t>::min());
    root.set_attribute("real", 0.1);
    root.set_attribute("texts", std::vector<std::string>{"a", "", "ccc"});
    root.set_attribute("none", std::vector<std::string>{});
  });
  EXPECT_EQ(file.root().text_attribute("text"), "Zürich 🙂");
  EXPECT_EQ(file.root().text_attribute("empty"), "");
  EXPECT_EQ(file.root().integer_attribute("integer"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(file.root().real_attribute("real"), 0.1);
  EXPECT_THAT(file.root().texts_attribute("texts"), ElementsAre("a", "", "ccc"));
  EXPECT_THAT(file.root().texts_attribute("none"), IsEmpty());
  EXPECT_TRUE(file.root().has_attribute("real"));
  EXPECT_FALSE(file.root().has_attribute("unreal"));
}

TEST_F(Hdf5, GivesBackDatasetsOfEveryTypePackedOrNot) {
  const std::vector<double> reals{0.1, -0.0, std::numeric_limits<double>::infinity()};
  const std::vector<std::int64_t> longs{1, -2, std::int64_t{1} << 62};
  const std::vector<std::int32_t> ints{7, -7};
  const std::vector<std::uint8_t> bytes{0, 255};
  const Matrix matrix{.rows = 2, .columns = 3, .values = {1, 2, 3, 4, 5, 1e-40F}};
  const File file = made([&](Group& root) {
    Group group = root.create_group("numbers");
    group.write("reals", reals);
    group.write("longs", longs, Packing::deflated);
    group.write("ints", ints, Packing::deflated);
    group.write("bytes", bytes);
    group.write("matrix", matrix);
    group.write("nothing", std::vector<float>{});
    group.write("texts", std::vector<std::string>{"ä", "", "a longer one"});
    group.write("no texts", std::vector<std::string>{});
  });
  const Group group = file.root().group("numbers");
  EXPECT_EQ(group.read<double>("reals", {3}), reals);
  EXPECT_EQ(group.read<std::int64_t>("longs", {any}), longs);
  EXPECT_EQ(group.read<std::int32_t>("ints", {2}), ints);
  EXPECT_EQ(group.read<std::uint8_t>("bytes", {2}), bytes);
  EXPECT_EQ(group.read_matrix("matrix", 2, any), matrix);
  EXPECT_THAT(group.read<float>("nothing", {any}), IsEmpty());
  EXPECT_THAT(group.read_texts("texts", 3), ElementsAre("ä", "", "a longer one"));
  EXPECT_THAT(group.read_texts("no texts"), IsEmpty());
  EXPECT_THAT(group.shape("matrix"), ElementsAre(2, 3));
  EXPECT_THAT(file.root().children(), ElementsAre("numbers"));
  EXPECT_TRUE(group.contains("ints"));
  EXPECT_FALSE(group.contains("floats"));
}

TEST_F(Hdf5, GivesBackAMatrixOfManyChunks) {
  Matrix matrix{.rows = 1501, .columns = 997, .values = {}};
  for (int i = 0; i < 1501 * 997; ++i) matrix.values.push_back(static_cast<float>(i));
  EXPECT_EQ(made([&](Group& root) { root.write("m", matrix); }).root().read_matrix("m", 1501, 997), matrix);
}

TEST_F(Hdf5, MakesTheSameBytesOfTheSameContent) {
  const auto fill = [](Group& root) {
    root.set_attribute("a", std::string("b"));
    root.create_group("g").write("m", Matrix{.rows = 1, .columns = 1, .values = {3}});
  };
  made(fill);
  const std::string first = tests::content_of(path());
  made(fill);
  EXPECT_EQ(tests::content_of(path()), first);
}

TEST_F(Hdf5, NamesFileAndObjectWhenShapeOrTypeIsAnotherOne) {
  const File file = made([](Group& root) { root.create_group("g").write("m", std::vector<float>{1, 2, 3}); });
  const Group group = file.root().group("g");
  const std::string shape = message_of([&] { group.read<float>("m", {4}); });
  EXPECT_THAT(shape, HasSubstr("expected the shape [4], found [3], in " + path().string() + ":/g/m"));
  EXPECT_THAT(message_of([&] {
                group.read<float>("m", {any, 3});
              }),
              HasSubstr("expected the shape [any, 3], found [3]"));
  EXPECT_THAT(message_of([&] { group.read<double>("m", {3}); }), HasSubstr("expected elements of type f64"));
  EXPECT_THAT(message_of([&] { group.read_texts("m"); }), HasSubstr("expected text of fixed width"));
}

TEST_F(Hdf5, CarriesHdf5sOwnWordsWhenAnObjectIsMissing) {
  const File file = made([](Group&) {});
  const std::string message = message_of([&] { file.root().read<float>("keys", {any}); });
  EXPECT_THAT(message, HasSubstr(path().string() + ":/keys"));
  EXPECT_THAT(message, HasSubstr("object 'keys' doesn't exist"));
  EXPECT_THAT(message_of([&] { file.root().text_attribute("kind"); }), HasSubstr("can't locate attribute"));
}

TEST_F(Hdf5, RefusesAnAttributeOfAnotherKind) {
  const File file = made([](Group& root) {
    root.set_attribute("real", 1.0);
    root.set_attribute("texts", std::vector<std::string>{"a", "b"});
  });
  EXPECT_THAT(message_of([&] { file.root().integer_attribute("real"); }), HasSubstr("expected an integer"));
  EXPECT_THAT(message_of([&] { file.root().text_attribute("real"); }), HasSubstr("expected UTF-8 text"));
  EXPECT_THAT(message_of([&] { file.root().text_attribute("texts"); }), HasSubstr("expected one value, found 2"));
}

TEST_F(Hdf5, FindsAFlippedByteInADatasetByItsChecksum) {
  for (const Packing packing : {Packing::plain, Packing::deflated}) {
    made([&](Group& root) { root.write("m", std::vector<float>(1000, 1.2345678F), packing); });
    std::string content = tests::content_of(path());
    const std::string pattern =
        packing == Packing::plain ? std::string("\x51\x06\x9e\x3f", 4) : std::string("\x78\x5e");
    const std::size_t place = content.find(pattern);
    ASSERT_NE(place, std::string::npos);
    content[place + 40 * (packing == Packing::plain) + 2] ^= 1;
    directory_.write("x.h5", content);
    const File file = File::open(path());
    EXPECT_THAT(message_of([&] { file.root().read<float>("m", {1000}); }), HasSubstr("x.h5:/m"));
  }
}

TEST_F(Hdf5, RefusesTextWithANulInside) {
  NewFile file(path());
  const std::string text("a\0b", 3);
  EXPECT_THAT(message_of([&] { file.root().set_attribute("t", text); }), HasSubstr("after 'a'"));
  EXPECT_THAT(message_of([&] { file.root().write("t", std::vector<std::string>{text}); }), HasSubstr("after 'a'"));
}

TEST_F(Hdf5, RefusesWhatIsNoHdf5File) {
  EXPECT_THAT(message_of([&] { File::open(path()); }), HasSubstr("expected an HDF5 file, found no file"));
  directory_.write("x.h5", "not HDF5 at all");
  EXPECT_THAT(message_of([&] { File::open(path()); }), HasSubstr("file signature not found"));
  made([](Group& root) { root.write("m", std::vector<float>(1000, 1)); });
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2);
  EXPECT_THAT(message_of([&] { File::open(path()); }), HasSubstr("truncated file"));
}

TEST_F(Hdf5, KeepsAFileOpenWhileOneOfItsGroupsLives) {
  const Group group =
      made([](Group& root) { root.create_group("g").write("v", std::vector<float>{1}); }).root().group("g");
  EXPECT_THAT(group.read<float>("v", {1}), ElementsAre(1));
}

TEST_F(Hdf5, MayBeUsedByManyThreads) {
  const File file = made([](Group& root) { root.write("v", std::vector<float>(10000, 2)); });
  std::vector<int> good(4, 0);
  {
    std::vector<std::jthread> threads;
    for (int& count : good) {
      threads.emplace_back([&file, &count] {
        for (int i = 0; i < 50; ++i) {
          count += file.root().read<float>("v", {10000}).back() == 2.0F;
          NewFile own("memory");
          own.root().write("w", std::vector<double>(100, 1));
          count += own.bytes().size() > 100;
        }
      });
    }
  }
  EXPECT_THAT(good, testing::Each(100));
}

}  // namespace
}  // namespace anchorage::io::hdf5
