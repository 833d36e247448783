// ROUGE (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"): how much of a reference's words a
// text has.
#pragma once

#include <string_view>

namespace anchorage::io {

// F measures: harmonic means of precision and recall, 0 where nothing is shared.
struct Rouge {
  double one = 0;      // ROUGE-1: of words
  double two = 0;      // ROUGE-2: of pairs of words
  double longest = 0;  // ROUGE-L: of the longest common subsequence of words

  double mean() const { return (one + two + longest) / 3; }
};

// Words as in rouge-score of PyPI without stemming: runs of a to z and 0 to 9 of the text in lower case.
Rouge rouge(std::string_view text, std::string_view reference);

}  // namespace anchorage::io
