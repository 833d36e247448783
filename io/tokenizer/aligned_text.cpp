#include "io/tokenizer/aligned_text.hpp"

#include <iterator>
#include <utility>

#include "io/tokenizer/utf8.hpp"

namespace anchorage::io {

AlignedText::AlignedText(std::string_view given, TextRange range) : text_(range.of(given)), begin_(range.begin) {
  origins_.reserve(text_.size());
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t length = character_length(text_[at]);
    const auto begin = static_cast<std::uint32_t>(begin_ + at);
    origins_.insert(origins_.end(), length, {begin, begin + static_cast<std::uint32_t>(length)});
    at += length;
  }
}

AlignedText::AlignedText(std::string text, std::vector<Origin> origins, std::size_t begin)
    : text_(std::move(text)), origins_(std::move(origins)), begin_(begin) {}

TextRange AlignedText::origin(TextRange range) const {
  if (range.begin >= range.end || range.end > origins_.size()) return {begin_, begin_};
  return {origins_[range.begin].begin, origins_[range.end - 1].end};
}

AlignedText AlignedText::part(TextRange range) const {
  const auto first = origins_.begin();
  return {std::string(range.of(text_)),
          {first + static_cast<std::ptrdiff_t>(range.begin), first + static_cast<std::ptrdiff_t>(range.end)},
          origin(range).begin};
}

void AlignedText::keep(TextRange range) {
  const std::size_t begin = begin_;
  *this = part(range);
  begin_ = begin;
}

void AlignedText::prepend(std::string_view prefix) {
  if (empty()) return;
  origins_.insert(origins_.begin(), prefix.size(), origins_.front());
  text_.insert(0, prefix);
}

// New text stands for what the byte before it stands for; at the start it stands for nothing.
AlignedText::Origin AlignedText::origin_before(std::size_t byte) const {
  const auto start = static_cast<std::uint32_t>(begin_);
  return byte == 0 ? Origin{start, start} : origins_[byte - 1];
}

void AlignedText::replace(std::span<const TextRange> ranges, std::string_view content) {
  if (ranges.empty()) return;
  std::string text;
  std::vector<Origin> origins;
  const auto copy = [&](std::size_t begin, std::size_t end) {
    text.append(text_, begin, end - begin);
    origins.insert(origins.end(), origins_.begin() + static_cast<std::ptrdiff_t>(begin),
                   origins_.begin() + static_cast<std::ptrdiff_t>(end));
  };
  std::size_t done = 0;
  for (const TextRange& range : ranges) {
    copy(done, range.begin);
    text += content;
    origins.insert(origins.end(), content.size(), origin_before(range.end));
    done = range.end;
  }
  copy(done, text_.size());
  text_ = std::move(text);
  origins_ = std::move(origins);
}

void AlignedText::rewrite(std::span<const Change> changes) {
  std::string text;
  std::vector<Origin> origins;
  std::size_t at = 0;  // position in the old text: characters consumed so far
  const auto take_one = [&] { at += at < text_.size() ? character_length(text_[at]) : 0; };
  for (const auto& [character, change] : changes) {
    const Origin origin = change > 0 ? origin_before(at) : origins_[at];
    const std::size_t length = append_utf8(text, character);
    origins.insert(origins.end(), length, origin);
    for (std::ptrdiff_t taken = change; taken <= 0; ++taken) take_one();
  }
  text_ = std::move(text);
  origins_ = std::move(origins);
}

void AlignedText::replace_bytes(std::string_view to) {
  std::vector<Origin> origins;
  origins.reserve(to.size());
  std::size_t byte = 0;
  for (std::size_t at = 0; at < to.size(); ++byte) {
    const std::size_t length = character_length(to[at]);
    origins.insert(origins.end(), length, origins_[byte]);
    at += length;
  }
  text_ = to;
  origins_ = std::move(origins);
}

}  // namespace anchorage::io
