#include "io/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace anchorage::io {

void start_log(int rank, Verbosity verbosity) {
  auto logger =
      std::make_shared<spdlog::logger>("anchorage", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern(rank == 0 ? "%H:%M:%S %^%l%$ %v" : fmt::format("%H:%M:%S %^%l%$ [rank {}] %v", rank));
  const bool chatty = verbosity == Verbosity::verbose;
  const auto normal = rank == 0 ? spdlog::level::info : spdlog::level::warn;
  logger->set_level(chatty ? spdlog::level::debug : verbosity == Verbosity::quiet ? spdlog::level::warn : normal);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace anchorage::io
