// Splits arguments that name several files, separated by commas.
#pragma once

#include <string>
#include <vector>

namespace anchorage::launch {

// Returns the parts of "a.jsonl,b.jsonl" or "known=a.json,lambada=b.jsonl". A comma is part of a name where a
// file of that name exists.
std::vector<std::string> parts_of(const std::string& list);

// Returns the parts of several such arguments.
std::vector<std::string> parts_of(const std::vector<std::string>& lists);

}  // namespace anchorage::launch
