// The service over a run of scripted workers: requests over real sockets, restarts, and many clients during a
// batch.
#include "coordinator/service/service.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <thread>

#include "coordinator/service/texts.hpp"
#include "tests/support/message_of.hpp"
#include "tests/unit/coordinator/service/served_run.hpp"

namespace anchorage::coordinator {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Answers as `answering`, but for batches of edits, which are written only when it lets them go.
class HeldBatch {
 public:
  sharding::Reply operator()(const sharding::Command& command) {
    if (const auto* batch = std::get_if<sharding::ApplyBatch>(&command);
        batch != nullptr && !batch->edits.empty()) {
      begun_ = true;
      wait_for(may_end_);
    }
    return answering(command);
  }
  void wait_until_begun() const { wait_for(begun_); }
  void let_go() { may_end_ = true; }

 private:
  static void wait_for(const std::atomic<bool>& flag) {
    while (!flag) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  std::atomic<bool> begun_ = false, may_end_ = false;
};

class ServiceTest : public testing::Test {
 protected:
  std::unique_ptr<ServedRun> serve(RunFacts facts = {.batch_size = 2, .linger = 0.05},
                                   ScriptedWorkers::Script script = answering, bool can_remove = true) {
    const auto run = folder_.path() / "run";
    return std::make_unique<ServedRun>(run, std::filesystem::exists(run / "run.yaml"), std::move(script), facts,
                                       can_remove);
  }
  // Serves until the batch of the edit given(0) is being written, which `held` then holds.
  std::unique_ptr<ServedRun> serve_writing(HeldBatch& held, RunFacts facts) {
    auto served = serve(std::move(facts), std::ref(held));
    served->ask("POST", "/v1/edits", given(0));
    held.wait_until_begun();
    return served;
  }
  io::Journal journal() { return io::Journal::open(folder_.path() / "run" / "journal"); }

  tests::TemporaryDirectory folder_;
};

TEST_F(ServiceTest, WritesEditsInBatchesAndKnowsThemAfterARestart) {
  auto served = serve();
  const auto answer = served->ask("POST", "/v1/edits", json::array({given(0), given(1), given(2)}));
  ASSERT_EQ(answer.status, 202) << answer.body;
  EXPECT_EQ(answer.json()["edits"][2]["location"], "/v1/edits/e2");
  served->wait_until("e2", "committed");
  EXPECT_EQ(served->ask("GET", "/v1/edits/e0").json()["batch"], 1);
  EXPECT_EQ(served->ask("GET", "/v1/edits/e2").json()["batch"], 2) << "the third waited for a fourth, but not long";
  const json batches = served->ask("GET", "/v1/batches").json()["batches"];
  ASSERT_EQ(batches.size(), 2);
  EXPECT_EQ(batches[0]["edits"][0]["subject"], "City 0");
  EXPECT_EQ(served->ask("GET", "/v1/batches?after=1").json()["batches"].size(), 1);
  served.reset();

  served = serve();
  EXPECT_EQ(served->state_of("e1"), "committed");
  // Targets' norm and values' losses are not in the journal, and of the seconds it has none.
  const auto from_the_journal = [](json list) {
    for (json& batch : list) {
      batch.erase("target_norm");
      batch.erase("values");
      batch.erase("seconds");
    }
    return list;
  };
  EXPECT_EQ(from_the_journal(served->ask("GET", "/v1/batches").json()["batches"]), from_the_journal(batches));
  const auto repeated = served->ask("POST", "/v1/edits", given(1));
  EXPECT_EQ(repeated.json()["edits"][0]["state"], "committed");
  served.reset();
  EXPECT_EQ(journal().list().size(), 3) << "what is repeated is not written again";
}

TEST_F(ServiceTest, TakesEditsOutOfTheInboxAndOutOfTheWeights) {
  auto served = serve();
  served->ask("POST", "/v1/edits", json::array({given(0), given(1)}));
  served->wait_until("e1", "committed");
  EXPECT_EQ(served->ask("POST", "/v1/pause").status, 200);
  served->ask("POST", "/v1/edits", given(2));
  EXPECT_EQ(served->ask("DELETE", "/v1/edits/e2").json()["state"], "withdrawn");
  EXPECT_EQ(served->ask("DELETE", "/v1/edits/e0").status, 202);
  served->wait_until("e0", "removed");
  EXPECT_EQ(served->ask("DELETE", "/v1/edits/e0").status, 200) << "said twice";
  EXPECT_EQ(served->ask("DELETE", "/v1/edits/none").status, 404);
  served.reset();
  EXPECT_EQ(journal().last().header.kind, io::SegmentKind::removal);
  served = serve();
  EXPECT_EQ(served->state_of("e0"), "removed");
  EXPECT_EQ(served->state_of("e1"), "committed");
  EXPECT_EQ(served->state_of("e2"), "withdrawn") << "although it was never written";
}

TEST_F(ServiceTest, RefusesToTakeBackWhatTheMethodCannotRemove) {
  auto served = serve({.batch_size = 1, .linger = 0.05}, answering, false);
  served->ask("POST", "/v1/edits", given(0));
  served->wait_until("e0", "committed");
  const auto refused = served->ask("DELETE", "/v1/edits/e0");
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("anchorage rollback"));
}

TEST_F(ServiceTest, AnEditWithdrawnWhileItIsWrittenIsRemovedAfterwards) {
  HeldBatch held;
  auto served = serve_writing(held, {.batch_size = 1, .linger = 0});
  EXPECT_EQ(served->state_of("e0"), "queued");
  EXPECT_EQ(served->ask("DELETE", "/v1/edits/e0").status, 202);
  held.let_go();
  served->wait_until("e0", "removed");
}

TEST_F(ServiceTest, ARunThatIsEndingTakesNoCheckpointRollbackOrExport) {
  HeldBatch held;
  auto served = serve_writing(held, {.batch_size = 1, .linger = 0});
  EXPECT_EQ(served->ask("POST", "/v1/stop").status, 202);
  EXPECT_EQ(served->ask("POST", "/v1/checkpoint").status, 503);
  EXPECT_EQ(served->ask("POST", "/v1/rollback", {{"to_batch", 0}}).status, 503);
  EXPECT_EQ(served->ask("POST", "/v1/export", {{"name", "night"}, {"format", "hf"}}).status, 503);
  held.let_go();
  served.reset();
  EXPECT_EQ(journal().last().header.kind, io::SegmentKind::batch) << "neither lost nor rolled back";
}

TEST_F(ServiceTest, ProposedEditsWaitForAnotherThanTheirAuthor) {
  auto served = serve({.batch_size = 2, .linger = 0, .require_approval = true});
  json edit = given(0);
  edit["author"] = "feed";
  edit["approved_by"] = "kim";
  EXPECT_EQ(served->ask("POST", "/v1/edits", edit).json()["edits"][0]["state"], "proposed") << "said by a writer";
  EXPECT_EQ(served->ask("POST", "/v1/edits/e0/approve", {{"by", "kim"}}).status, 403);
  EXPECT_EQ(served->ask("POST", "/v1/edits/e0/approve", {{"by", "feed"}}, approver).status, 409);
  EXPECT_EQ(served->ask("POST", "/v1/edits/e0/approve", {{"by", "kim"}}, approver).status, 200);
  served->wait_until("e0", "committed");
  EXPECT_EQ(served->ask("POST", "/v1/edits/e0/approve", {{"by", "kim"}}, approver).status, 409) << "too late";
  EXPECT_EQ(served->ask("GET", "/v1/edits/e0").json()["approved_by"], "kim");
}

// Two answers to one question in one batch: the later one stays, also over restarts.
TEST_F(ServiceTest, OfTwoAnswersTheLaterOneStaysAfterARestart) {
  json other = given(0);
  other["id"] = "later";
  other["target"] = "Bea";
  auto served = serve();
  served->ask("POST", "/v1/pause");
  served->ask("POST", "/v1/edits", json::array({given(0), other}));
  served->ask("POST", "/v1/resume");
  served->wait_until("later", "committed");
  EXPECT_EQ(served->state_of("e0"), "superseded");
  for (int start = 0; start < 2; ++start) {
    served.reset();
    served = serve();
    served->ask("POST", "/v1/edits", given(10 + start));
    served->wait_until("e" + std::to_string(10 + start), "committed");
    EXPECT_EQ(served->state_of("later"), "committed") << "start " << start;
    EXPECT_EQ(served->state_of("e0"), "superseded") << "start " << start;
  }
}

TEST_F(ServiceTest, AnIdWithAnotherTargetReplacesItsEditAndIsWithdrawnWithIt) {
  auto served = serve({.batch_size = 1, .linger = 0});
  served->ask("POST", "/v1/edits", given(0));
  served->wait_until("e0", "committed");
  json again = given(0);
  again["target"] = "Bea";
  served->ask("POST", "/v1/pause");
  EXPECT_EQ(served->ask("POST", "/v1/edits", again).json()["edits"][0]["state"], "accepted");
  EXPECT_EQ(served->ask("DELETE", "/v1/edits/e0").status, 202) << "the earlier one is in the weights";
  served->wait_until("e0", "removed");
  EXPECT_EQ(served->ask("POST", "/v1/edits", again).json()["edits"][0]["state"], "removed") << "said again";
  again["target"] = "Cleo";
  EXPECT_EQ(served->ask("POST", "/v1/edits", again).status, 409) << "an id that was withdrawn";
  served->ask("POST", "/v1/resume");
  served.reset();
  EXPECT_EQ(recorded_edits(journal()).size(), 1) << "the withdrawn one was never written";
}

TEST_F(ServiceTest, AQuestionDoesNotHoldUpBatches) {
  auto served = serve({.batch_size = 1, .linger = 0});
  std::atomic<bool> going = true;
  std::vector<std::jthread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      while (going) served->ask("POST", "/v1/generate", {{"prompts", {"a"}}});
    });
  }
  served->ask("POST", "/v1/edits", json::array({given(0), given(1), given(2)}));
  served->wait_until("e2", "committed");
  going = false;
  askers.clear();
  EXPECT_EQ(served->ask("POST", "/v1/generate", {{"prompts", {std::string(40'000, 'a')}}}).status, 400);
}

TEST_F(ServiceTest, NothingIsAcceptedThatTheDiskDoesNotHave) {
  auto served = serve();
  std::filesystem::create_directory(folder_.path() / "run" / "inbox.jsonl");  // no file can be written there
  const auto refused = served->ask("POST", "/v1/edits", given(0));
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_EQ(served->state_of("e0"), "none");
}

TEST_F(ServiceTest, ARunThatIsBeingRolledBackTakesNoSecondRollbackAndNoQuestion) {
  HeldBatch held;
  auto served = serve_writing(held, {.batch_size = 1, .linger = 0});
  EXPECT_EQ(served->ask("POST", "/v1/rollback", {{"to_batch", 0}}).status, 202);
  for (const auto& [path, body] : std::vector<std::pair<std::string, json>>{
           {"/v1/rollback", {{"to_batch", 0}}},
           {"/v1/checkpoint", nullptr},
           {"/v1/export", {{"name", "night"}, {"format", "hf"}}},
           {"/v1/generate", {{"prompts", {"a"}}}},
       }) {
    const auto refused = served->ask("POST", path, body);
    EXPECT_EQ(refused.status, 503) << path;
    EXPECT_THAT(refused.body, HasSubstr("is being rolled back")) << path;
  }
  held.let_go();
}

TEST_F(ServiceTest, TheSixtyFifthQuestionThatWaitsIsRefusedForThatReason) {
  HeldBatch held;
  auto served = serve_writing(held, {.batch_size = 1, .linger = 0});
  std::vector<std::future<ClientAnswer>> waiting;
  for (int i = 0; i < 65; ++i)
    waiting.push_back(std::async(std::launch::async, [&] {
      return HttpClient(served->address()).ask("POST", "/v1/generate", R"({"prompts": ["a"]})", writer);
    }));
  const auto is_answered = [](const std::future<ClientAnswer>& answer) {
    return answer.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  };
  while (std::ranges::none_of(waiting, is_answered)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  held.let_go();
  std::map<unsigned, int> statuses;
  for (auto& answer : waiting) {
    const ClientAnswer given = answer.get();
    ++statuses[given.status];
    if (given.status == 503) {
      EXPECT_THAT(given.body, HasSubstr("at most 64 questions"));
    }
  }
  EXPECT_EQ(statuses, (std::map<unsigned, int>{{200, 64}, {503, 1}}));
}

// No rank waits for the network, and no client for a batch.
TEST_F(ServiceTest, AThousandClientsAreAnsweredWhileABatchIsWritten) {
  HeldBatch held;
  auto served = serve_writing(held, {.batch_size = 64, .linger = 0});
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(std::make_unique<HttpClient>(served->address()));
  for (int i = 0; i < 1000; ++i) {
    const auto answer =
        clients[static_cast<std::size_t>(i)]->ask(i % 2 == 0 ? "GET" : "POST", i % 2 == 0 ? "/v1/run" : "/v1/edits",
                                                  i % 2 == 0 ? "" : given(i).dump(), writer);
    ASSERT_EQ(answer.status, i % 2 == 0 ? 200U : 202U) << answer.body;
  }
  EXPECT_EQ(served->ask("GET", "/v1/run").json()["edits"]["accepted"], 500);
  EXPECT_EQ(served->state_of("e0"), "queued") << "the batch is still being written";
  held.let_go();
  served->wait_until("e999", "committed");
}

TEST_F(ServiceTest, QuestionsAreAnsweredBetweenBatchesAndRefusedAfterTheEnd) {
  auto served = serve();
  const auto answer = served->ask("POST", "/v1/generate", {{"prompts", {"a", "b"}}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.json()["texts"][1]["edited"], "b!");
  for (const json& body : {json(), json({{"prompts", json::array()}}), json({{"prompts", {1}}}),
                           json({{"prompts", {"a"}}, {"max_new_tokens", 0}}), json({{"prompts", "a"}})})
    EXPECT_EQ(served->ask("POST", "/v1/generate", body).status, 400) << body;
}

TEST_F(ServiceTest, AWrongReplyIsOneClientsErrorAndNothingMore) {
  auto served = serve({.batch_size = 1, .linger = 0}, [](const sharding::Command& command) {
    if (std::holds_alternative<sharding::ContinuePrompts>(command)) return sharding::Reply(sharding::Stopped{});
    return answering(command);
  });
  const auto answer = served->ask("POST", "/v1/generate", {{"prompts", {"a"}}});
  EXPECT_EQ(answer.status, 500);
  EXPECT_THAT(answer.body, HasSubstr("the program is wrong here"));
  served->ask("POST", "/v1/edits", given(0));
  served->wait_until("e0", "committed");
}

TEST_F(ServiceTest, WithoutTokensItReadsAloneAndOnLoopbackAlone) {
  const auto run = io::RunDirectory::create(folder_.path() / "bare");
  const auto service_on = [&](const std::string& address) {
    return std::make_unique<Service>(run, RunFacts{}, ServiceOptions{.listen = address}, std::vector<io::Edit>());
  };
  EXPECT_THAT(tests::message_of([&] { service_on("0.0.0.0:0"); }), HasSubstr("give --token-file"));
  const auto service = service_on("127.0.0.1:0");
  const auto ask = [&](const std::string& method, const std::string& path) {
    return HttpClient(service->address()).ask(method, path);
  };
  EXPECT_EQ(ask("GET", "/v1/run").status, 200);
  EXPECT_EQ(ask("GET", "/readyz").status, 503) << "there is no run yet";
  const auto refused = ask("POST", "/v1/edits");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, AllOf(HasSubstr("--token-file"), HasSubstr("\"expected\"")));
  EXPECT_EQ(refused.type, "application/problem+json");
  HttpClient elsewhere(service->address());
  elsewhere.send("GET /v1/run HTTP/1.1\r\nHost: a.page.elsewhere\r\n\r\n");
  EXPECT_THAT(elsewhere.read_until("}"), HasSubstr("401")) << "a name that was made to lead here";
  EXPECT_EQ(ask("BREW", "/v1/run").status, 405);
  EXPECT_EQ(ask("GET", "/v1/").status, 404);
}

TEST(ServiceDescription, NamesEveryRouteWithItsRoleAndNoOther) {
  const json document = json::parse(openapi_text());
  std::map<std::pair<std::string, std::string>, std::string> described, routes;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      if (!operation.is_object() || !operation.contains("x-role")) continue;
      std::string upper = method;
      std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
      described[{path, upper}] = operation["x-role"];
    }
  }
  for (const Route& route : service_routes()) routes[{route.path, route.method}] = name_of(route.role);
  EXPECT_EQ(described, routes);
}

TEST(ServicePage, HasItsPartsAndCannotBeLeftByData) {
  EXPECT_THAT(page_text(), AllOf(HasSubstr("<style>"), HasSubstr("EventSource"), HasSubstr(R"(id="data">null)")));
  const std::string page = page_text(R"({"run": "</script><b>"})");
  EXPECT_THAT(page, HasSubstr(R"({"run": "\u003c/script>\u003cb>"})"));
}

}  // namespace
}  // namespace anchorage::coordinator
