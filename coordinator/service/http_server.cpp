#include "coordinator/service/http_server.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <deque>
#include <optional>
#include <unordered_set>

#include "coordinator/service/http_target.hpp"
#include "coordinator/service/problem.hpp"
#include "io/error.hpp"
#include "io/log.hpp"

namespace anchorage::coordinator {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view bearer = "Bearer ";

HttpRequest request_of(const http::request<http::string_body>& message) {
  const std::string target(message.target());
  const std::size_t mark = target.find('?');
  HttpRequest request{.method = std::string(message.method_string()),
                      .path = target.substr(0, mark),
                      .host = std::string(message[http::field::host]),
                      .body = message.body()};
  std::string_view rest = mark == std::string::npos ? "" : std::string_view(target).substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view field = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), field.size() + 1));
    const std::size_t equals = field.find('=');
    const std::string value =
        equals == std::string_view::npos ? "" : percent_decoded(field.substr(equals + 1), true);
    request.query[percent_decoded(field.substr(0, equals), true)] = value;
  }
  const auto authorization = message[http::field::authorization];
  const std::string_view said(authorization.data(), authorization.size());
  if (said.starts_with(bearer)) {
    request.token = said.substr(bearer.size());
  } else if (const auto token = request.query.find("token"); token != request.query.end()) {
    request.token = token->second;
  }
  return request;
}

// What is said of a request that cannot be read; nothing where the client has gone or was too slow.
std::optional<HttpResponse> answer_to(const error_code& error, const HttpLimits& limits) {
  if (error == http::error::body_limit)
    return problem(
        413, fmt::format("expected a body of at most {} bytes, found more; send several requests", limits.body));
  if (error == http::error::header_limit)
    return problem(431, fmt::format("expected a header of at most {} bytes, found more", limits.header));
  if (error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return problem(400, fmt::format("expected a request of HTTP/1.1, found another text: {}", error.message()));
  return std::nullopt;
}

// Half of the files that the process may open, as many as the system lets it: the journal needs some.
std::size_t possible_connections(std::size_t wanted) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  return std::min<std::size_t>(wanted, files.rlim_cur / 2);
}

}  // namespace

struct HttpServer::State {
  State(asio::io_context& context, HttpHandler answers, HttpLimits bounds)
      : acceptor(context), retry(context), handler(std::move(answers)), limits(bounds) {}

  tcp::acceptor acceptor;
  asio::steady_timer retry;
  HttpHandler handler;
  HttpLimits limits;
  std::unordered_set<Connection*> open;    // all connections
  std::unordered_set<Connection*> events;  // those of clients that have asked for events
  bool closing = false;

  static void accept(const std::shared_ptr<State>& state);
};

// Reads a request, has it answered, reads the next. Held by the operations that are pending on it.
class HttpServer::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<State> state)
      : stream_(std::move(socket)), life_(stream_.get_executor()), state_(std::move(state)) {
    state_->open.insert(this);
  }
  ~Connection() {
    state_->open.erase(this);
    state_->events.erase(this);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void begin() {
    if (state_->open.size() > state_->limits.connections) {
      is_last_ = true;
      return answer(problem(503, fmt::format("{} connections are open, as many as there may be; try again later",
                                             state_->limits.connections)));
    }
    read();
  }

  void publish(const std::string& text) {
    if (unread_ + text.size() > state_->limits.unread_events) return drop();
    unread_ += text.size();
    to_write_.push_back(text);
    if (to_write_.size() == 1) write_next_event();
  }

  void close() {
    is_last_ = true;
    if (is_reading_ || state_->events.contains(this)) drop();
  }

 private:
  void read() {
    parser_.emplace();
    parser_->body_limit(state_->limits.body);
    parser_->header_limit(state_->limits.header);
    stream_.expires_after(state_->limits.idle);
    is_reading_ = true;
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (error) return self->could_not_read(error);
                              if (self->parser_->get()[http::field::expect] == "100-continue")
                                return self->say_continue();
                              self->read_body();
                            });
  }

  void say_continue() {
    static constexpr std::string_view line = "HTTP/1.1 100 Continue\r\n\r\n";
    stream_.expires_after(state_->limits.transfer);
    asio::async_write(stream_, asio::buffer(line),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        if (!error) self->read_body();
                      });
  }

  void read_body() {
    stream_.expires_after(state_->limits.transfer);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](const error_code& error, std::size_t) {
      if (error) return self->could_not_read(error);
      self->is_reading_ = false;
      self->stream_.expires_never();  // an answer may have to wait for a batch
      const auto message = self->parser_->release();
      self->is_last_ = self->is_last_ || !message.keep_alive();
      self->version_ = message.version();
      self->is_head_ = message.method() == http::verb::head;
      self->state_->handler(request_of(message),
                            [self](HttpResponse response) { self->answer(std::move(response)); });
    });
  }

  void could_not_read(const error_code& error) {
    is_reading_ = false;
    const auto said = answer_to(error, state_->limits);
    if (!said) return drop();
    is_last_ = true;
    answer(*said);
  }

  void answer(HttpResponse response) {
    if (response.events) return begin_events(response);
    is_last_ = is_last_ || state_->closing;
    response_.emplace(static_cast<http::status>(response.status), version_);
    response_->set(http::field::content_type, response.content_type);
    response_->set(http::field::cache_control, "no-store");
    response_->set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers) response_->set(name, value);
    response_->keep_alive(!is_last_);
    response_->body() = std::move(response.body);
    response_->prepare_payload();
    if (is_head_) response_->body().clear();
    stream_.expires_after(state_->limits.transfer);
    http::async_write(stream_, *response_, [self = shared_from_this()](const error_code& error, std::size_t) {
      if (error) return self->drop();
      if (self->is_last_) return self->end();
      self->read();
    });
  }

  void begin_events(const HttpResponse& response) {
    to_write_.push_back(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: "
        "close\r\n\r\n" +
        response.body);
    unread_ += to_write_.back().size();
    state_->events.insert(this);
    write_next_event();
    watch_for_the_end();
    stay_alive();
  }

  void write_next_event() {
    stream_.expires_after(state_->limits.transfer);
    asio::async_write(stream_, asio::buffer(to_write_.front()),
                      [self = shared_from_this()](const error_code& error, std::size_t) {
                        if (error) return self->drop();
                        self->unread_ -= self->to_write_.front().size();
                        self->to_write_.pop_front();
                        self->stream_.expires_never();
                        if (!self->to_write_.empty()) self->write_next_event();
                      });
  }

  // A client of events sends nothing more: what arrives is its end.
  void watch_for_the_end() {
    stream_.socket().async_wait(tcp::socket::wait_read,
                                [self = shared_from_this()](const error_code&) { self->drop(); });
  }

  void stay_alive() {
    life_.expires_after(state_->limits.sign_of_life);
    life_.async_wait([self = shared_from_this()](const error_code& cancelled) {
      if (cancelled || !self->state_->events.contains(self.get())) return;
      self->publish(":\n\n");
      if (self->state_->events.contains(self.get())) self->stay_alive();
    });
  }

  // Takes what still arrives for a moment: closing a connection with unread bytes would lose the answer.
  void end() {
    error_code error;
    if (stream_.socket().shutdown(tcp::socket::shutdown_send, error)) return drop();
    stream_.expires_after(std::chrono::seconds(2));
    discard();
  }

  void discard() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(64 << 10),
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              error ? self->drop() : self->discard();
                            });
  }

  void drop() {
    state_->events.erase(this);
    life_.cancel();
    stream_.close();
  }

  beast::tcp_stream stream_;
  asio::steady_timer life_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  std::shared_ptr<State> state_;
  std::deque<std::string> to_write_;  // events; the first is being written
  std::size_t unread_ = 0;            // their bytes
  unsigned version_ = 11;
  bool is_reading_ = false, is_last_ = false, is_head_ = false;
};

// Where the process is out of descriptors, accepting waits instead of failing again at once.
void HttpServer::State::accept(const std::shared_ptr<State>& state) {
  state->acceptor.async_accept([state](const error_code& error, tcp::socket socket) {
    if (state->closing || error == asio::error::operation_aborted) return;
    if (!error) {
      std::make_shared<Connection>(std::move(socket), state)->begin();
      return accept(state);
    }
    state->retry.expires_after(std::chrono::milliseconds(100));
    state->retry.async_wait([state](const error_code& cancelled) {
      if (!cancelled) accept(state);
    });
  });
}

HttpServer::HttpServer(asio::io_context& context, const std::string& address, HttpHandler handler,
                       HttpLimits limits)
    : state_(std::make_shared<State>(context, std::move(handler), limits)) {
  state_->limits.connections = possible_connections(limits.connections);
  const tcp::endpoint endpoint = endpoint_of(address);
  try {
    state_->acceptor.open(endpoint.protocol());
    state_->acceptor.set_option(tcp::acceptor::reuse_address(true));
    state_->acceptor.bind(endpoint);
    state_->acceptor.listen(1024);
  } catch (const boost::system::system_error& error) {
    throw io::UserError({.expected = "an address of this machine that no other program listens on",
                         .found = error.code().message(),
                         .where = "--listen " + address,
                         .remedy = "choose another port, or end the program that has it"});
  }
  State::accept(state_);
}

HttpServer::~HttpServer() {
  try {
    close();
  } catch (const std::exception& error) {
    spdlog::warn("connections are not closed: {}", error.what());
  }
}

std::string HttpServer::address() const {
  const tcp::endpoint endpoint = state_->acceptor.local_endpoint();
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", host, endpoint.port())
                                    : fmt::format("{}:{}", host, endpoint.port());
}

bool HttpServer::is_loopback() const {
  return state_->acceptor.local_endpoint().address().is_loopback();
}

void HttpServer::publish(std::string_view event, std::string_view data) {
  const std::string text = event_text(event, data);
  const std::vector<Connection*> clients(state_->events.begin(), state_->events.end());
  for (Connection* client : clients) client->publish(text);
}

std::size_t HttpServer::connections() const {
  return state_->open.size();
}

std::size_t HttpServer::event_clients() const {
  return state_->events.size();
}

void HttpServer::close() {
  if (std::exchange(state_->closing, true)) return;
  error_code error;
  if (state_->acceptor.close(error)) spdlog::warn("the listening socket is not closed: {}", error.message());
  state_->retry.cancel();
  const std::vector<Connection*> open(state_->open.begin(), state_->open.end());
  for (Connection* connection : open) connection->close();
}

std::string event_text(std::string_view event, std::string_view data) {
  std::string text = fmt::format("event: {}\n", event);
  while (true) {
    const std::size_t end = data.find('\n');
    text += fmt::format("data: {}\n", data.substr(0, end));
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return text + "\n";
}

}  // namespace anchorage::coordinator
