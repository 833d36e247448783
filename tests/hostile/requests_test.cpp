// Requests to the service that are broken on purpose: each is answered by what is wrong with it, or the connection
// is closed; the program is never at fault, and nothing is taken that was not whole.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/temporary_directory.hpp"
#include "tests/unit/coordinator/service/served_run.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::json;

class HostileRequests : public testing::Test {
 protected:
  void SetUp() override {
    served_ =
        std::make_unique<ServedRun>(folder_.path() / "run", false, answering,
                                    RunFacts{.batch_size = 4, .linger = 0.05, .require_approval = true}, true);
  }
  // Sends bytes, and then no more. Returns the status of the first answer; 0 where there is none.
  unsigned status_of(const std::string& bytes) {
    HttpClient client(served_->address());
    client.send(bytes);
    boost::system::error_code ignored;
    client.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
    const std::string answer = client.read_until(never);
    const bool is_answer = answer.starts_with("HTTP/1.1 ") && answer.size() > 12;
    EXPECT_TRUE(answer.empty() || is_answer) << answer;
    return is_answer ? static_cast<unsigned>(std::stoi(answer.substr(9, 3))) : 0;
  }
  std::string request(const std::string& method, const std::string& target, const std::string& body) {
    return fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: "
        "application/json\r\nContent-Length: "
        "{}\r\n\r\n{}",
        method, target, served_->address(), approver, body.size(), body);
  }
  std::size_t edits() { return served_->ask("GET", "/v1/edits").json()["edits"].size(); }

  static constexpr auto never = "\1 nothing has this \1";
  tests::TemporaryDirectory folder_;
  std::unique_ptr<ServedRun> served_;
};

TEST_F(HostileRequests, ABodyCutAtAnyByteNeverGivesAnEditThatWasNotWhole) {
  const std::string line = R"({"id": "a", "subject": "Zürich", "prompt": "{} is in", "target": "x"})";
  for (std::size_t size = 0; size < line.size(); ++size)
    EXPECT_EQ(status_of(request("POST", "/v1/edits", line.substr(0, size))), 400U) << size;
  const std::string whole = request("POST", "/v1/edits", line);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const unsigned status = status_of(whole.substr(0, size));
    EXPECT_TRUE(status == 0 || status == 400) << status << " of " << whole.substr(0, size);
  }
  EXPECT_EQ(edits(), 0U);
  EXPECT_EQ(status_of(whole), 202U);
}

TEST_F(HostileRequests, ValuesOfOtherTypesAreRefused) {
  const std::vector<json> values = {nullptr,
                                    true,
                                    -1,
                                    0.5,
                                    1e300,
                                    "",
                                    json::array(),
                                    json::object(),
                                    "text",
                                    {"list"},
                                    {{"a", {{"b", 1}}}},
                                    std::int64_t{9'223'372'036'854'775'807},
                                    "\u0000\u202e"};
  const std::vector<std::pair<std::string, std::vector<std::string>>> fields = {
      {"/v1/edits", {"id", "subject", "prompt", "target", "author", "approved_by", "expires", "paraphrases"}},
      {"/v1/edits/none/approve", {"by"}},
      {"/v1/generate", {"prompts", "max_new_tokens"}},
      {"/v1/score", {"requests"}},
      {"/v1/rollback", {"to_batch"}},
      {"/v1/export", {"name", "format", "batch", "rank", "verify", "canaries"}}};
  for (const auto& [path, names] : fields) {
    for (const json& value : values) {
      std::vector<json> bodies = {value, json::array({value})};
      for (const std::string& name : names) {
        json body = {{"subject", "a"}, {"prompt", "{} is"}, {"target", "b"}, {"prompts", {"a"}}, {"name", "."}};
        body[name] = value;
        bodies.push_back(body);
        bodies.push_back({{name, value}});
      }
      for (const json& body : bodies) {
        const unsigned status = status_of(request("POST", path, body.dump()));
        EXPECT_TRUE(status == 200 || status == 202 || (status >= 400 && status < 500))
            << status << ": " << path << ' ' << body;
      }
    }
  }
  EXPECT_EQ(status_of(request("GET", "/v1/run", "")), 200U);
}

TEST_F(HostileRequests, DeepNestingIsRefused) {
  constexpr int depth = 300'000;
  std::string lists, objects;
  for (int i = 0; i < depth; ++i) lists += '[';
  for (int i = 0; i < depth; ++i) objects += "{\"a\":";
  for (const std::string path : {"/v1/edits", "/v1/generate", "/v1/score", "/v1/rollback", "/v1/export"}) {
    EXPECT_EQ(status_of(request("POST", path, lists)), 400U) << path;
    EXPECT_EQ(status_of(request("POST", path, objects)), 400U) << path;
  }
}

// Bytes changed, left out and put in, anywhere in the request.
TEST_F(HostileRequests, AlteredBytesAreAnsweredOrRefused) {
  const std::vector<std::string> whole = {
      request("POST", "/v1/edits", given(0).dump()),
      request("POST", "/v1/edits", given(1).dump() + "\n" + given(2).dump()),
      request("POST", "/v1/edits/e0/approve", R"({"by": "kim"})"),
      request("POST", "/v1/generate", R"({"prompts": ["a", "b"], "max_new_tokens": 3})"),
      request("POST", "/v1/score", R"({"requests": [{"prompt": "a", "completion": "b"}]})"),
      request("POST", "/v1/export", R"({"name": ".", "format": "peft", "rank": 8})"),
      request("DELETE", "/v1/edits/e%201", ""),
      request("GET", "/v1/batches?after=1&limit=10", ""),
      request("GET", "/v1/edits?state=accepted&limit=3", "")};
  std::mt19937 random(17);
  const auto below = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
  };
  std::map<unsigned, int> seen;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole[below(whole.size())];
    const std::string before = bytes;
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
      const std::size_t at = below(bytes.size());
      const auto byte = static_cast<char>(below(256));
      switch (below(3)) {
        case 0:
          bytes[at] = byte;
          break;
        case 1:
          bytes.erase(at, 1 + below(8));
          break;
        default:
          bytes.insert(at, 1 + below(8), byte);
      }
      if (bytes.empty()) break;
    }
    const unsigned status = status_of(bytes);
    EXPECT_TRUE(status == 0 || (status >= 200 && status < 500)) << status << ": " << bytes;
    ++seen[status];
  }
  EXPECT_GT(seen[400], 100) << "what is altered is refused";
  EXPECT_GT(seen[200] + seen[202], 100) << "and some of it has its meaning still";
  EXPECT_EQ(status_of(request("GET", "/livez", "")), 200U);
}

}  // namespace
}  // namespace anchorage::coordinator
