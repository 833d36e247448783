// The kinds of error of this project, and the form of their messages.
//
// A UserError says that something given to the program (a file, an option, a directory) is not what is
// needed; the user can fix it. A SystemError says that the system refused an operation. An InternalError says
// that the program itself is wrong. `launch/program/main.cpp` turns the first into exit code 2 and the others
// into exit code 1.
#pragma once

#include <fmt/format.h>

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace anchorage::io {

// What a message says, in this order: "<expected>, <found>, <where>; <what to do>".
struct Diagnostic {
  std::string expected;  // "a subject that occurs in its prompt"
  std::string found;     // "'Alphabet' in 'The CEO of {} is'"
  std::string where;     // "edits.jsonl, line 12"; may be empty
  std::string remedy;    // "put {} where the subject stands"; may be empty
};

class UserError : public std::runtime_error {
 public:
  explicit UserError(const Diagnostic& diagnostic);
};

// The file system refused (disk full, no permission): the request itself is valid. Exit code 1.
class SystemError : public std::runtime_error {
 public:
  explicit SystemError(const Diagnostic& diagnostic);
  // From errno: `operation` names what was tried ("write"), `path` on what.
  static SystemError from_errno(int error, const std::string& operation, const std::string& path);
};

class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws InternalError with file, line and the message when `condition` does not hold.
void check(bool condition, std::string_view message,
           std::source_location location = std::source_location::current());

}  // namespace anchorage::io
