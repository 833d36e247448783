#include "io/model/rope_scaling.hpp"

#include <cmath>

#include "io/model/config_refusals.hpp"

namespace anchorage::io {
namespace {

// Older files of Phi-3 call longrope "su", or "yarn" with its factors.
std::string type_of(const ConfigFields& rope) {
  const std::string type = rope.text_or("rope_type", rope.text_or("type", "default"));
  const bool is_longrope = type == "su" || (type == "yarn" && rope.find("short_factor") != nullptr);
  return is_longrope ? "longrope" : type;
}

RopeScaling llama3(const ConfigFields& rope, std::int64_t trained) {
  const RopeScaling scaling = {.kind = RopeScaling::Kind::llama3,
                               .factor = rope.positive("factor"),
                               .low_freq_factor = rope.positive("low_freq_factor"),
                               .high_freq_factor = rope.positive("high_freq_factor"),
                               .original_max_position_embeddings = trained};
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    rope.refuse(fmt::format("'high_freq_factor' above 'low_freq_factor' {}", scaling.low_freq_factor),
                fmt::format("{}", scaling.high_freq_factor));
  }
  return scaling;
}

double yarn_scale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

RopeScaling yarn(const ConfigFields& rope, std::int64_t trained, std::int64_t max_positions) {
  const double ratio = static_cast<double>(max_positions) / static_cast<double>(trained);
  const double factor = rope.positive_or("factor", ratio);
  const bool two_scales = rope.find("mscale") != nullptr && rope.find("mscale_all_dim") != nullptr;
  const double attention =
      two_scales ? yarn_scale(factor, rope.positive("mscale")) / yarn_scale(factor, rope.positive("mscale_all_dim"))
                 : yarn_scale(factor, 1.0);
  const RopeScaling scaling = {.kind = RopeScaling::Kind::yarn,
                               .factor = factor,
                               .original_max_position_embeddings = trained,
                               .attention_factor = rope.positive_or("attention_factor", attention),
                               .beta_fast = rope.positive_or("beta_fast", 32.0),
                               .beta_slow = rope.positive_or("beta_slow", 1.0),
                               .truncate = rope.flag_or("truncate", true)};
  if (scaling.beta_fast < scaling.beta_slow) {
    rope.refuse(fmt::format("'beta_fast' of at least 'beta_slow' {}", scaling.beta_slow),
                fmt::format("{}", scaling.beta_fast));
  }
  return scaling;
}

std::vector<double> factors(const ConfigFields& rope, std::string_view name, std::int64_t rotary_dim) {
  std::vector<double> read = rope.positives(name);
  if (std::ssize(read) != rotary_dim / 2) {
    rope.refuse(fmt::format("{} numbers in '{}', one for each pair that is turned", rotary_dim / 2, name),
                fmt::format("{}", read.size()));
  }
  return read;
}

RopeScaling longrope(const ConfigFields& rope, std::int64_t trained, std::int64_t max_positions,
                     std::int64_t rotary_dim) {
  const double window = static_cast<double>(trained);
  const double factor = rope.positive_or("factor", static_cast<double>(max_positions) / window);
  const double attention = factor <= 1 ? 1.0 : std::sqrt(1 + std::log(factor) / std::log(window));
  return {.kind = RopeScaling::Kind::longrope,
          .factor = factor,
          .original_max_position_embeddings = trained,
          .attention_factor = rope.positive_or("attention_factor", attention),
          .short_factors = factors(rope, "short_factor", rotary_dim),
          .long_factors = factors(rope, "long_factor", rotary_dim)};
}

}  // namespace

RopeParameters read_rope(const ConfigFields& fields, const FamilyTraits& traits, std::int64_t max_positions,
                         std::int64_t rotary_dim) {
  const ConfigKeys& keys = traits.keys;
  RopeParameters read{.theta = keys.default_rope_theta, .scaling = {}, .local_theta = 0};
  if (!keys.has_rotary_parameters) return read;
  read.theta = fields.positive_or("rope_theta", read.theta);
  const bool two_kinds = !keys.local_rope_theta.empty();
  if (two_kinds) read.local_theta = fields.positive_or(keys.local_rope_theta, keys.default_local_rope_theta);
  for (const char* const name : {"rope_scaling", "rope_parameters"}) {
    const nlohmann::json* const object = fields.find(name);
    if (object == nullptr || object->empty()) continue;
    const ConfigFields outer(*object, fmt::format("'{}' of {}", name, fields.where()));
    const nlohmann::json* const of_global = outer.find("full_attention");
    const nlohmann::json* const of_local = outer.find("sliding_attention");
    if ((of_global != nullptr || of_local != nullptr) && !two_kinds)
      outer.refuse_unimplemented("one set of rotary parameters", "one for each kind of layer");
    if (of_local != nullptr) {
      const ConfigFields local(*of_local, fmt::format("'sliding_attention' of {}", outer.where()));
      refuse_unimplemented_options(local, traits);
      if (type_of(local) != "default")
        local.refuse_unimplemented("the rope type default", fmt::format("'{}'", type_of(local)));
      read.local_theta = local.positive_or("rope_theta", keys.default_local_rope_theta);
    }
    if (of_global == nullptr && of_local != nullptr) return read;
    const ConfigFields rope(
        of_global == nullptr ? *object : *of_global,
        of_global == nullptr ? outer.where() : fmt::format("'full_attention' of {}", outer.where()));
    refuse_unimplemented_options(rope, traits);
    read.theta = rope.positive_or("rope_theta", read.theta);
    const std::string key = "original_max_position_embeddings";
    const std::int64_t inside = rope.size_or(key, max_positions), by_class = traits.keys.default_original_positions;
    const std::int64_t trained = fields.size_or(key, by_class == 0 ? inside : by_class);
    const std::string type = type_of(rope);
    if (type == "linear") {
      read.scaling = {.kind = RopeScaling::Kind::linear, .factor = rope.positive("factor")};
    } else if (type == "llama3") {
      read.scaling = llama3(rope, trained);
    } else if (type == "yarn") {
      read.scaling = yarn(rope, trained, max_positions);
    } else if (type == "longrope") {
      read.scaling = longrope(rope, trained, max_positions, rotary_dim);
    } else if (type != "default" && type != "dynamic") {
      rope.refuse_unimplemented("the rope type default, linear, dynamic, llama3, yarn or longrope",
                                fmt::format("'{}'", type));
    }
    return read;
  }
  return read;
}

}  // namespace anchorage::io
