// An HTTP/1.1 server (RFC 9112) on an io_context that one thread runs: requests, and server-sent events.
//
// No client can hold it up: bodies, headers, times and the number of connections have limits, and a client that
// does not read its events is closed.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "coordinator/service/http_message.hpp"

namespace anchorage::coordinator {

struct HttpLimits {
  std::size_t body = 8 << 20;                                    // bytes
  std::uint32_t header = 16 << 10;                               // bytes
  std::chrono::seconds idle = std::chrono::seconds(75);          // until the header of the next request is there
  std::chrono::seconds transfer = std::chrono::seconds(30);      // of a body, of an answer
  std::size_t connections = 2048;                                // open at a time; others get 503
  std::size_t unread_events = 1 << 20;                           // bytes that wait for a client
  std::chrono::seconds sign_of_life = std::chrono::seconds(15);  // between events, as a comment
};

class HttpServer {
 public:
  // Binds and listens; connections are accepted as soon as the context runs. Borrows the context. Throws
  // io::UserError where the address is none, is in use or is not this machine's.
  HttpServer(boost::asio::io_context& context, const std::string& address, HttpHandler handler,
             HttpLimits limits = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // The address that it listens on, with the port that the system chose where 0 was asked for: "127.0.0.1:8470".
  std::string address() const;
  bool is_loopback() const;

  // Sends an event (HTML's section "Server-sent events") to every client that has asked for events.
  void publish(std::string_view event, std::string_view data);

  std::size_t connections() const;
  std::size_t event_clients() const;

  // Accepts no more, ends event streams, and closes each connection when its answer is out. After that the context
  // runs out of work.
  void close();

 private:
  class Connection;
  struct State;
  std::shared_ptr<State> state_;
};

// Formats one server-sent event; `data` may have several lines.
std::string event_text(std::string_view event, std::string_view data);

}  // namespace anchorage::coordinator
