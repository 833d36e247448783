// The keys of a file of hyper-parameters: name, member, range. One table for reading, setting and writing.
#pragma once

#include <limits>
#include <span>
#include <string_view>
#include <variant>

#include "io/hparams/hparams.hpp"

namespace anchorage::io {

struct Range {
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool least_allowed = true;
  bool most_allowed = true;
  std::string_view words = "";  // "above 0"

  constexpr bool holds(double value) const {
    return (least_allowed ? value >= least : value > least) && (most_allowed ? value <= most : value < most);
  }
};

struct HparamKey {
  std::string_view name;
  std::variant<int Hparams::*, double Hparams::*, bool Hparams::*, std::string Hparams::*,
               std::vector<int> Hparams::*, std::optional<int> Hparams::*, std::optional<double> Hparams::*,
               ValueOptimizer Hparams::*, EarlyStop Hparams::*>
      member;
  Range range = {};
  std::string_view only = "";  // the only text that is supported
};

struct ForeignKey {
  std::string_view name;
  std::string_view reason;  // why it has no effect here
};

// A key of a method that is not implemented here: a file with it asks for something other than it would get.
struct MethodKey {
  std::string_view name;
  std::string_view method;
};

// Lists the keys in the order of Hparams.
std::span<const HparamKey> hparam_keys();
std::span<const ForeignKey> foreign_keys();
std::span<const MethodKey> method_keys();

}  // namespace anchorage::io
