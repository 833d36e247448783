// The page of a report: one HTML document that needs nothing else.
#pragma once

#include <string>

#include "launch/commands/report/report_inputs.hpp"

namespace anchorage::launch {

// What the page carries with it, as it is.
struct PageAssets {
  std::string style;   // CSS
  std::string script;  // JavaScript; the page allows this one alone to run
};

// Makes the page. The same inputs give the same bytes. Everything but the search of failed edits is there without
// JavaScript; without `:has` in CSS all methods and all states are shown at once.
std::string report_page(const ReportInputs& inputs, const PageAssets& assets);

}  // namespace anchorage::launch
