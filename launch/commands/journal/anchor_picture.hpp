// The anchors of each layer, batch by batch, as a picture.
#pragma once

#include <string>

#include "launch/commands/journal/anchor_history.hpp"

namespace anchorage::launch {

// Draws an SVG document: a panel per layer, a bar per batch; kept and entered above the axis, left below it.
std::string anchor_picture(const AnchorHistory& history, const std::string& title);

}  // namespace anchorage::launch
