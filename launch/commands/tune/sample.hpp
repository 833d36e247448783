// What `anchorage tune` tries hyper-parameters with: a sample of edits, the facts in it that can be traced, and
// text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/edits/reader.hpp"
#include "io/statistics/statistics_file.hpp"
#include "io/tokenizer/tokenizer.hpp"
#include "launch/program/session.hpp"
#include "worker/editing/values/edit_prompts.hpp"
#include "worker/evaluation/causal_trace.hpp"
#include "worker/model/token_layout.hpp"

namespace anchorage::launch {

// Reads the first edits up to the limit. Logs, on rank 0, what is set aside. Throws io::UserError where there are
// none that can be used.
io::EditsFile read_sample(const std::string& path, const std::optional<std::string>& format, std::int64_t limit,
                          const Session& session);

// Returns the facts of the edits that can be traced: those whose subject does not end the prompt, where restoring
// the highest layers would bring the answer back whatever the layers below do. Warns, on rank 0, of the others.
// Throws io::UserError where there are none.
std::vector<worker::TracedFact> facts_to_trace(const io::EditsFile& sample, const worker::PromptBuilder& prompts,
                                               std::int64_t positions, const std::string& path,
                                               const Session& session);

// Returns up to `most` sequences of the text after its first `used` tokens, of which the second moments are. Throws
// io::UserError where the text ends before.
std::vector<worker::TokenIds> held_out_sequences(const std::filesystem::path& text, const io::Tokenizer& tokenizer,
                                                 std::int64_t length, std::int64_t rows, std::int64_t used,
                                                 std::size_t most);

}  // namespace anchorage::launch
