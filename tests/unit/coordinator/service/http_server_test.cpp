// The server against clients that are well, slow, many and hostile, over real sockets.
#include "coordinator/service/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <thread>

#include "io/error.hpp"
#include "tests/support/message_of.hpp"
#include "tests/unit/coordinator/service/http_client.hpp"

namespace anchorage::coordinator {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// Says what it was asked; "/events" begins events.
void echo(const HttpRequest& request, const Responder& respond) {
  if (request.path == "/events") return respond({.body = event_text("hello", "1"), .events = true});
  std::string said = request.method + " " + request.path + " [" + request.token + "] " + request.body;
  for (const auto& [name, value] : request.query) said += " " + name + "=" + value;
  respond({.content_type = "text/plain", .body = said});
}

class HttpServerTest : public testing::Test {
 protected:
  HttpServer& start(HttpLimits limits = {}, HttpHandler handler = echo) {
    server_ = std::make_unique<HttpServer>(context_, "127.0.0.1:0", std::move(handler), limits);
    thread_ = std::jthread([this] { context_.run(); });
    return *server_;
  }
  ~HttpServerTest() override {
    if (server_) on_thread([&] { server_->close(); });
  }

  void on_thread(const std::function<void()>& action) {
    std::promise<void> done;
    boost::asio::post(context_, [&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }

  boost::asio::io_context context_;
  std::unique_ptr<HttpServer> server_;
  std::jthread thread_;
};

TEST_F(HttpServerTest, AnswersSeveralRequestsOfAConnection) {
  HttpClient client(start().address());
  const auto first = client.ask("POST", "/a%2Fb?x=1+2&y=%C3%A9&token=t", "body");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "POST /a%2Fb [t] body token=t x=1 2 y=\u00e9");
  EXPECT_EQ(client.ask("GET", "/", "", "secret").body, "GET / [secret] ");
  EXPECT_EQ(client.ask("HEAD", "/").status, 200);
  EXPECT_EQ(client.ask("GET", "/after").body, "GET /after [] ");
}

TEST_F(HttpServerTest, RefusesWhatIsTooLongOrNoRequest) {
  const std::string address = start({.body = 100, .header = 1000}).address();
  EXPECT_EQ(HttpClient(address).ask("POST", "/", std::string(100, 'x')).status, 200);
  HttpClient large(address);
  large.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
  EXPECT_THAT(large.read_until("several requests"),
              AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("at most 100 bytes")));
  HttpClient sent(address);
  EXPECT_EQ(sent.ask("POST", "/", std::string(200'000, 'x')).status, 413) << "although its body is on the way";
  HttpClient header(address);
  header.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(1000, 'x') + "\r\n\r\n");
  EXPECT_THAT(header.read_until("}"), StartsWith("HTTP/1.1 431"));
  for (const std::string& text : {std::string("\x16\x03\x01 TLS\r\n\r\n"), std::string("GET\r\n\r\n"),
                                  std::string("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
                                  std::string("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")}) {
    HttpClient client(address);
    client.send(text);
    EXPECT_THAT(client.read_until("}"), StartsWith("HTTP/1.1 400")) << text;
  }
  EXPECT_EQ(HttpClient(address).ask("GET", "/").status, 200) << "the server continues";
}

TEST_F(HttpServerTest, ClosesConnectionsOfClientsThatDoNotGoOn) {
  const std::string address =
      start({.idle = std::chrono::seconds(1), .transfer = std::chrono::seconds(1)}).address();
  HttpClient silent(address), slow(address);
  slow.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(silent.read_until("x"), "");
  EXPECT_EQ(slow.read_until("x"), "");
}

TEST_F(HttpServerTest, AnswersConnectionsThatAreTooManyAndServesAgainWhenSomeAreGone) {
  const std::string address = start({.connections = 2}).address();
  HttpClient one(address);
  EXPECT_EQ(one.ask("GET", "/").status, 200);
  {
    HttpClient two(address);
    EXPECT_EQ(two.ask("GET", "/").status, 200);
    EXPECT_THAT(HttpClient(address).read_until("later"), StartsWith("HTTP/1.1 503"));
  }
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::size_t open = 0;
    on_thread([&] { open = server_->connections(); });
    if (open < 2) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(HttpClient(address).ask("GET", "/").status, 200);
}

TEST_F(HttpServerTest, SendsEventsToAllWhoAskAndClosesWhoeverDoesNotRead) {
  const std::string address = start({.unread_events = 200'000}).address();
  HttpClient reader(address), sleeper(address);
  for (HttpClient* client : {&reader, &sleeper}) {
    client->send("GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_THAT(client->read_until("data: 1\n\n"),
                AllOf(HasSubstr("text/event-stream"), HasSubstr("event: hello\n")));
  }
  on_thread([&] { server_->publish("two", "a\nb"); });
  EXPECT_EQ(reader.read_until("\n\n"), "event: two\ndata: a\ndata: b\n\n");
  const std::string large(50'000, 'x');
  std::size_t clients = 2;
  for (int i = 0; i < 500 && clients == 2; ++i) {
    on_thread([&] {
      server_->publish("large", large);
      clients = server_->event_clients();
    });
    reader.read_until("\n\n");
  }
  EXPECT_EQ(clients, 1) << "nobody keeps megabytes for a client that sleeps";
  on_thread([&] { server_->publish("end", "1"); });
  EXPECT_THAT(reader.read_until("event: end"), HasSubstr("event: end"));
}

TEST_F(HttpServerTest, NamesAnAddressThatItCannotHave) {
  const std::string address = start().address();
  const auto listening_on = [&](const std::string& text) {
    return tests::message_of([&] { HttpServer(context_, text, echo); });
  };
  EXPECT_THAT(listening_on(address), HasSubstr("choose another port"));
  for (const std::string text :
       {"localhost:80", "127.0.0.1", ":80", "127.0.0.1:x", "127.0.0.1:65536", "", "[::1:80"})
    EXPECT_THAT(listening_on(text), HasSubstr("expected an address and a port")) << text;
  EXPECT_EQ(endpoint_of("[::1]:8470").port(), 8470);
}

TEST(PercentEncoding, IsUndoneByDecoding) {
  for (const std::string text : {"a/b c", "100%", "\u00e9\n", "a+b", ""})
    EXPECT_EQ(percent_decoded(percent_encoded(text), false), text);
  EXPECT_EQ(percent_decoded("%4", false), "%4");
  EXPECT_EQ(percent_decoded("%zz%41", false), "%zzA");
}

}  // namespace
}  // namespace anchorage::coordinator
