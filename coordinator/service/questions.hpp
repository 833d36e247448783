// Questions to the model, as requests ask them and as they are answered (docs/service.md, "Questions").
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "coordinator/service/http_message.hpp"
#include "sharding/protocol/command.hpp"

namespace anchorage::coordinator {

// Throw RequestError, 400, for a body that is no such question, or one that is too long.
sharding::ContinuePrompts continuation_in(const nlohmann::json& body);
sharding::ScoreTexts scores_in(const nlohmann::json& body);

HttpResponse response_of(const sharding::PromptsContinued& continued);
HttpResponse response_of(const sharding::TextsScored& scored);

}  // namespace anchorage::coordinator
