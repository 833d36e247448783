// Errors of the service as application/problem+json (RFC 9457), with what every message of this program says.
#pragma once

#include "coordinator/service/http_message.hpp"
#include "io/error.hpp"

namespace anchorage::coordinator {

// A request that is answered with an error.
class RequestError : public std::runtime_error {
 public:
  RequestError(unsigned status, io::Diagnostic diagnostic);

  unsigned status() const { return status_; }
  const io::Diagnostic& diagnostic() const { return diagnostic_; }

 private:
  unsigned status_;
  io::Diagnostic diagnostic_;
};

// The title is the status' own; expected, found, where and remedy are members where they are not empty.
HttpResponse problem(unsigned status, const io::Diagnostic& diagnostic);
// With a message alone.
HttpResponse problem(unsigned status, const std::string& detail);
// Of the exception that is being handled. Logs, with `what` was asked, those that are not the request's fault.
HttpResponse problem_of_exception(const std::string& what);

}  // namespace anchorage::coordinator
