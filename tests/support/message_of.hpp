// What an error says: the message of the `Error` that `function` throws, or "no error".
#pragma once

#include <string>

#include "io/error.hpp"

namespace anchorage::tests {

template <class Error = io::UserError, class Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace anchorage::tests
