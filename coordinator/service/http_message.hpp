// Requests and answers of the service, without the library that carries them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace anchorage::coordinator {

struct HttpRequest {
  std::string method;                          // "GET"
  std::string path;                            // as it was sent, without the query: "/v1/edits/a%207"
  std::map<std::string, std::string> query{};  // decoded; the last of several with one name
  std::string host{};                          // as the client names it: "127.0.0.1:8470"
  std::string token{};                         // of the header Authorization, or of the query; empty: none
  std::string body{};
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
  std::vector<std::pair<std::string, std::string>> headers{};
  bool events = false;  // the connection stays open for server-sent events, which the body is the first of
};

// Takes the answer to one request; call it once, on the server's thread, at any time.
using Responder = std::function<void(HttpResponse)>;
using HttpHandler = std::function<void(const HttpRequest&, Responder)>;

}  // namespace anchorage::coordinator
