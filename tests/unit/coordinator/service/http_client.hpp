// A client of tests: requests over a real socket, one connection each, and bytes as they are.
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/service/http_target.hpp"

namespace anchorage::coordinator {

struct ClientAnswer {
  unsigned status = 0;
  std::string type, body;

  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

class HttpClient {
 public:
  explicit HttpClient(const std::string& address) : stream_(context_), address_(address) {
    stream_.expires_after(std::chrono::seconds(30));
    stream_.connect(endpoint_of(address));
  }

  // Another request on the same connection.
  ClientAnswer ask(const std::string& method, const std::string& path, const std::string& body = "",
                   const std::string& token = "") {
    namespace http = boost::beast::http;
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(path);
    request.version(11);
    request.set(http::field::host, address_);
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
    request.body() = body;
    request.prepare_payload();
    stream_.expires_after(std::chrono::seconds(30));
    http::write(stream_, request);
    http::response_parser<http::string_body> parser;
    if (method == "HEAD") parser.skip(true);
    http::read(stream_, buffer_, parser);
    const auto& answer = parser.get();
    return {.status = answer.result_int(),
            .type = std::string(answer[http::field::content_type]),
            .body = answer.body()};
  }

  void send(const std::string& bytes) { boost::asio::write(stream_, boost::asio::buffer(bytes)); }

  // Reads until the text has come or the other side has closed.
  std::string read_until(const std::string& text) {
    std::string all;
    boost::system::error_code error;
    for (char bytes[4096]; all.find(text) == std::string::npos;) {
      const std::size_t count = stream_.read_some(boost::asio::buffer(bytes), error);
      if (error) break;
      all.append(bytes, count);
    }
    return all;
  }

  boost::asio::ip::tcp::socket& socket() { return stream_.socket(); }

 private:
  boost::asio::io_context context_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  std::string address_;
};

}  // namespace anchorage::coordinator
