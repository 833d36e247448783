#include "io/hparams/hparams.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>
#include <type_traits>

#include "io/error.hpp"
#include "io/files/mapped_file.hpp"
#include "io/hparams/hparams_keys.hpp"
#include "io/nearest_name.hpp"
#include "io/text/strict_yaml.hpp"
#include "io/text/text_of.hpp"

namespace anchorage::io {
namespace {

template <typename E>
struct Choice {
  std::string_view name;
  E value;
};

template <typename E>
constexpr std::array<Choice<E>, 2> choices{};
template <>
constexpr std::array<Choice<ValueOptimizer>, 2> choices<ValueOptimizer>{
    {{"adam", ValueOptimizer::adam}, {"ngd", ValueOptimizer::ngd}}};
template <>
constexpr std::array<Choice<EarlyStop>, 2> choices<EarlyStop>{
    {{"loss", EarlyStop::loss}, {"argmax", EarlyStop::argmax}}};

// A key's value in a file or in --set, with what a message about it needs.
struct Value {
  const HparamKey& key;
  YAML::Node node;
  std::string where;
};

std::string description_of(const YAML::Node& node) {
  if (node.IsScalar()) return fmt::format("'{}'", node.Scalar());
  if (node.IsSequence()) return fmt::format("a list of {}", node.size());
  if (node.IsMap()) return "keys with values";
  return "nothing";
}

[[noreturn]] void refuse_value(const Value& value, std::string_view expected, const std::string& found) {
  throw UserError({.expected = fmt::format("{} for {}", expected, value.key.name),
                   .found = found,
                   .where = value.where,
                   .remedy = "see docs/hparams.md"});
}

[[noreturn]] void refuse_value(const Value& value, std::string_view expected) {
  refuse_value(value, expected, description_of(value.node));
}

// Returns "" for anything but a bare word or number; quotes make a number a text.
std::string bare(const YAML::Node& node) {
  if (!node.IsScalar() || node.Tag() == "!") return "";
  return node.Scalar();
}

template <typename Number>
std::optional<Number> number_in(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || rest != end || text.empty()) return std::nullopt;
  if constexpr (std::is_floating_point_v<Number>) {
    if (!std::isfinite(number)) return std::nullopt;
  }
  return number;
}

template <typename Number>
Number number_of(const Value& value, const std::string& text) {
  const auto number = number_in<Number>(text);
  if (!number || !value.key.range.holds(static_cast<double>(*number))) {
    refuse_value(value,
                 fmt::format("a {}number{}", std::is_integral_v<Number> ? "whole " : "", value.key.range.words),
                 text.empty() ? description_of(value.node) : fmt::format("'{}'", text));
  }
  return *number;
}

// One overload reads each type of member; the tag argument selects it.
template <typename T>
struct Type {};

int read(const Value& value, Type<int>) {
  return number_of<int>(value, bare(value.node));
}
double read(const Value& value, Type<double>) {
  return number_of<double>(value, bare(value.node));
}

template <typename Number>
std::optional<Number> read(const Value& value, Type<std::optional<Number>>) {
  if (bare(value.node) == "auto") return std::nullopt;
  return number_of<Number>(value, bare(value.node));
}

bool read(const Value& value, Type<bool>) {
  std::string word = bare(value.node);
  for (char& letter : word) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  if (word == "true" || word == "on" || word == "yes") return true;
  if (word == "false" || word == "off" || word == "no") return false;
  refuse_value(value, "true or false");
}

std::string read(const Value& value, Type<std::string>) {
  const std::string_view only = value.key.only;
  if (!value.node.IsScalar()) refuse_value(value, "a text");
  if (!only.empty() && value.node.Scalar() != only) {
    refuse_value(value, fmt::format("'{}' (no other is implemented)", only));
  }
  return value.node.Scalar();
}

std::vector<int> read(const Value& value, Type<std::vector<int>>) {
  std::vector<int> numbers;
  if (value.node.IsSequence()) {
    for (const YAML::Node& entry : value.node) numbers.push_back(number_of<int>(value, bare(entry)));
    return numbers;
  }
  // Without brackets "4,5,6" is a text in YAML; it is convenient on a command line.
  std::istringstream list(bare(value.node));
  for (std::string entry; std::getline(list >> std::ws, entry, ',');)
    numbers.push_back(number_of<int>(value, entry));
  if (numbers.empty()) refuse_value(value, "a list of whole numbers");
  return numbers;
}

template <typename E>
E read(const Value& value, Type<E>) {
  const std::string word = value.node.IsScalar() ? value.node.Scalar() : "";
  const auto* found = std::ranges::find(choices<E>, word, &Choice<E>::name);
  if (found == choices<E>.end())
    refuse_value(value, fmt::format("'{}' or '{}'", choices<E>[0].name, choices<E>[1].name));
  return found->value;
}

void assign(Hparams& hparams, const Value& value) {
  std::visit([&]<typename T>(T Hparams::*member) { hparams.*member = read(value, Type<T>{}); }, value.key.member);
}

template <typename Key>
const Key* find_key(std::span<const Key> keys, std::string_view name) {
  const auto found = std::ranges::find(keys, name, &Key::name);
  return found == keys.end() ? nullptr : &*found;
}

[[noreturn]] void refuse_unknown(std::string_view key, const std::string& where) {
  Diagnostic diagnostic{
      .expected = "a known hyper-parameter", .found = fmt::format("'{}'", key), .where = where, .remedy = {}};
  if (const MethodKey* other = find_key(method_keys(), key)) {
    diagnostic.found += fmt::format(", which is {}'s", other->method);
    diagnostic.remedy =
        fmt::format("{} is not here: take a file for one of the methods that are (--method)", other->method);
    throw UserError(diagnostic);
  }
  std::vector<std::string_view> names;
  for (const HparamKey& known : hparam_keys()) names.push_back(known.name);
  for (const ForeignKey& known : foreign_keys()) names.push_back(known.name);
  diagnostic.remedy = fmt::format("the nearest known one is '{}'", nearest_name(key, names).name);
  throw UserError(diagnostic);
}

YAML::Node document_in(const std::string& text, const std::string& origin) {
  Diagnostic diagnostic{.expected = "a YAML or JSON file of hyper-parameters",
                        .found = {},
                        .where = origin,
                        .remedy = "see docs/hparams.md"};
  YAML::Node document = parse_strict_yaml(text, diagnostic);
  if (document.IsMap()) return document;
  diagnostic.found = description_of(document);
  throw UserError(diagnostic);
}

template <typename T>
std::string printed(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(std::ranges::find(choices<T>, value, &Choice<T>::value)->name);
  } else {
    return fmt::format("{}", value);  // the shortest text that gives a double back
  }
}
std::string printed(const std::string& value) {
  return fmt::format("\"{}\"", value);
}
std::string printed(const std::vector<int>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}
template <typename T>
std::string printed(const std::optional<T>& value) {
  return value ? printed(*value) : "auto";
}

// Keys that the text leaves out keep the value that they have in `start`.
LoadedHparams parse_onto(const Hparams& start, const std::string& text, const std::string& origin) {
  LoadedHparams loaded{.hparams = start, .ignored = {}};
  std::set<std::string> seen;
  for (const auto& entry : document_in(text, origin)) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const std::string where = fmt::format("{}, line {}", origin, entry.first.Mark().line + 1);
    if (!seen.insert(name).second) {
      throw UserError({.expected = "each key once",
                       .found = fmt::format("'{}' again", name),
                       .where = where,
                       .remedy = "take one of them out"});
    }
    if (const HparamKey* key = find_key(hparam_keys(), name)) {
      assign(loaded.hparams, {.key = *key, .node = entry.second, .where = where});
    } else if (const ForeignKey* ignored = find_key(foreign_keys(), name)) {
      loaded.ignored.push_back({.key = name, .reason = std::string(ignored->reason)});
      if (name == "alg_name" && entry.second.IsScalar()) loaded.algorithm = entry.second.Scalar();
    } else {
      refuse_unknown(name, where);
    }
  }
  return loaded;
}

}  // namespace

LoadedHparams load_hparams(const std::filesystem::path& path) {
  const MappedFile file(path);
  return parse_hparams(std::string(text_of(file.bytes())), path.string());
}

LoadedHparams parse_hparams(const std::string& text, const std::string& origin) {
  return parse_onto({}, text, origin);
}

Hparams parse_recorded_hparams(const std::string& text, const std::string& origin) {
  Hparams start;
  start.merge_subjects = false;
  return parse_onto(start, text, origin).hparams;
}

void set(Hparams& hparams, std::string_view assignment) {
  const std::string where = fmt::format("--set {}", assignment);
  const auto refuse_assignment = [&](std::string found, std::string remedy) {
    throw UserError(
        {.expected = "key=value", .found = std::move(found), .where = where, .remedy = std::move(remedy)});
  };
  const std::size_t equals = assignment.find('=');
  if (equals == assignment.npos) refuse_assignment("no '='", "write it as v_lr=0.1");
  const std::string_view name = assignment.substr(0, equals);
  const HparamKey* key = find_key(hparam_keys(), name);
  if (key == nullptr) {
    const ForeignKey* ignored = find_key(foreign_keys(), name);
    if (ignored == nullptr) refuse_unknown(name, where);
    refuse_assignment("a key that has no effect here", std::string(ignored->reason));
  }
  const YAML::Node value = parse_strict_yaml(std::string(assignment.substr(equals + 1)),
                                             {.expected = "key=value",
                                              .found = {},
                                              .where = where,
                                              .remedy = "write the value as in a file of hyper-parameters"});
  assign(hparams, {.key = *key, .node = value, .where = where});
}

std::string to_yaml(const Hparams& hparams) {
  std::string text;
  for (const HparamKey& key : hparam_keys()) {
    std::visit(
        [&]<typename T>(T Hparams::*member) {
          const T& value = hparams.*member;
          if constexpr (std::is_same_v<T, std::string>) {
            if (value.empty()) return;  // a module template not yet resolved
          }
          text += fmt::format("{}: {}\n", key.name, printed(value));
        },
        key.member);
  }
  return text;
}

}  // namespace anchorage::io
