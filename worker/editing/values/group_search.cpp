#include "worker/editing/values/group_search.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/utils.h>
#include <utility>

#include "io/error.hpp"
#include "worker/model/products.hpp"

namespace anchorage::worker {

GroupSearch::GroupSearch(InjectedForward forward, const io::Hparams& hparams, std::vector<SearchPhase> phases)
    : forward_(std::make_unique<InjectedForward>(std::move(forward))),
      hparams_(hparams),
      phases_(std::move(phases)),
      shared_(shared_values()),
      shape_{forward_->edits(), forward_->injected_layers(), forward_->d_model()} {
  for (std::size_t i = 0; i + 1 < phases_.size(); ++i)
    io::check(!phases_[i].until_converged, "edits leave a search in its last phase");
}

SharedValues GroupSearch::shared_values() const {
  return {forward_->prompts(), hparams_, forward_->model().device()};
}

void GroupSearch::begin() {
  if (!forward_->is_filled()) forward_->begin();
}

void GroupSearch::arrive() {
  if (!forward_->is_filled()) forward_->arrive();
}

void GroupSearch::fill_caches(const StageNeighbors& neighbors) {
  const auto activity = forward_->model().stages.activity("setup");
  constexpr std::string_view operation = "hand whole rows up";
  const Stages& stages = forward_->model().stages;
  const int norms_on = stages.stage_of(forward_->layers().back());
  torch::Tensor entering;
  if (neighbors.is_first()) {
    if (stages.count() == 1) {
      begin();
      arrive();
    }
  } else {
    const Transformer& model = forward_->model();
    std::vector<MessagePart> parts{{{forward_->whole_tokens(), model.config.d_model}, model.dtype()}};
    if (norms_on < stages.index()) parts.push_back({{forward_->edits()}, torch::kFloat});
    const auto message = neighbors.from_below(parts, operation);
    entering = message.front();
    if (norms_on < stages.index()) forward_->set_norms(message.back());
  }
  const auto leaving = forward_->fill_caches(entering);
  if (norms_on == stages.index()) forward_->set_norms(shared_.mean_of(forward_->norms()));
  if (neighbors.is_last()) return;
  std::vector<torch::Tensor> parts{leaving};
  if (norms_on <= stages.index()) parts.push_back(forward_->norms());
  neighbors.send_up(parts, operation);
}

// Returns the residual stream that enters, the vectors [E, slots from this stage's on, d], and the penalty's terms.
std::vector<torch::Tensor> GroupSearch::entering(const StageNeighbors& neighbors) const {
  const Transformer& model = forward_->model();
  const std::int64_t slots = forward_->injected_layers() - forward_->own_slots().begin, edits = forward_->edits();
  std::vector<MessagePart> parts{{{forward_->tokens(), model.config.d_model}, model.dtype()},
                                 {{edits, slots, model.config.d_model}, torch::kFloat}};
  if (phase().until_converged) parts.resize(phase().anchored ? 4 : 3, {{edits}, torch::kFloat});
  return neighbors.from_below(parts, "hand suffixes up");
}

void GroupSearch::go_forward(const StageNeighbors& neighbors) {
  if (!forward_->is_filled()) fill_caches(neighbors);
  const auto activity = forward_->model().stages.activity("forward");
  const auto own = forward_->own_slots();
  torch::Tensor vectors;  // [E, slots from this stage's on, d]
  penalty_ = {};
  if (neighbors.is_first()) {
    if (evaluated_ == 0) {
      const auto norms = search_ ? search_->norms() : torch::Tensor();
      search_ = std::make_unique<PointSearch>(hparams_, phase().start(search_.get()));
      search_->set_norms(norms);
    }
    search_->evaluate();
    vectors = search_->point();
    if (phase().until_converged) penalty_ = search_->penalty();
  } else {
    auto message = entering(neighbors);
    entering_ = message[0].requires_grad_(true);
    vectors = message[1];
    if (phase().until_converged) penalty_.length = message[2];
    if (phase().until_converged && phase().anchored) penalty_.l1 = message[3];
  }
  vectors_ = vectors.narrow(1, 0, own.size()).detach().requires_grad_(true);
  const double before = product_seconds();
  {
    const torch::AutoGradMode gradients(true);
    leaving_ = forward_->forward(entering_, vectors_);
    if (neighbors.is_last()) loss_ = forward_->loss_of(leaving_);
  }
  forward_->model().stages.count_products(forward_->product_flops(), product_seconds() - before);
  ++evaluated_;
  if (neighbors.is_last()) return;
  std::vector<torch::Tensor> parts{leaving_.detach(), vectors.narrow(1, own.size(), vectors.size(1) - own.size())};
  if (penalty_.length.defined()) parts.push_back(penalty_.length);
  if (penalty_.l1.defined()) parts.push_back(penalty_.l1);
  neighbors.send_up(parts, "hand suffixes up");
}

// Returns which edits continue, on the last stage: [E] bool.
torch::Tensor GroupSearch::decide() const {
  const torch::NoGradGuard no_gradients;
  const auto objective = loss_.nll + hparams_.kl_factor * loss_.kl + penalty_.value(hparams_, forward_->norms());
  const auto low = objective < hparams_.early_stop_loss;
  const auto converged = hparams_.early_stop == io::EarlyStop::argmax ? at::logical_or(low, loss_.matches) : low;
  return shared_.any_of(at::logical_not(converged));
}

std::vector<torch::Tensor> GroupSearch::gradients_at_stage(const StageNeighbors& neighbors,
                                                           const torch::Tensor& leaving) const {
  const torch::AutoGradMode gradients(true);
  std::vector<torch::Tensor> inputs;
  if (entering_.defined()) inputs.push_back(entering_);
  if (vectors_.size(1) > 0) inputs.push_back(vectors_);
  auto found = neighbors.is_last()
                   ? torch::autograd::grad({(loss_.nll + hparams_.kl_factor * loss_.kl).sum()}, inputs)
                   : torch::autograd::grad({leaving_}, inputs, {leaving});
  if (vectors_.size(1) == 0) found.push_back(torch::zeros_like(vectors_, vectors_.options().requires_grad(false)));
  return found;
}

void GroupSearch::go_backward(const StageNeighbors& neighbors) {
  const auto activity = forward_->model().stages.activity("backward");
  if (neighbors.is_last() && phase().until_converged) keep_losses();
  if (!has_way_back()) {
    drop_evaluation();
    return end_phase();
  }
  constexpr std::string_view operation = "hand gradients down";
  const Transformer& model = forward_->model();
  const std::int64_t edits = forward_->edits(), d = forward_->d_model();
  const std::int64_t above = forward_->injected_layers() - forward_->own_slots().end;
  // From above: the gradient of what left, those of the vectors above, which edits continue, and once the norms.
  std::vector<torch::Tensor> message;
  torch::Tensor continues;
  if (neighbors.is_last()) {
    continues = phase().until_converged ? decide() : torch::ones({edits}, vectors_.options().dtype(torch::kBool));
    message = {torch::Tensor(), torch::zeros({edits, above, d}, torch::TensorOptions(model.device())), continues,
               forward_->norms()};
  } else {
    std::vector<MessagePart> parts{
        {leaving_.sizes().vec(), model.dtype()}, {{edits, above, d}, torch::kFloat}, {{edits}, torch::kBool}};
    if (!norms_shared_) parts.push_back({{edits}, torch::kFloat});
    message = neighbors.from_above(parts, operation);
    continues = message[2];
  }
  const bool some_continue = continues.any().item<bool>();
  std::vector<torch::Tensor> found;
  if (some_continue) {
    const double before = product_seconds();
    found = gradients_at_stage(neighbors, message[0]);
    forward_->model().stages.count_products(forward_->product_flops(), product_seconds() - before);
  } else {  // the message has its size all the same
    if (entering_.defined()) found.push_back(torch::zeros_like(entering_));
    found.push_back(torch::zeros_like(vectors_));
  }
  const auto of_vectors = at::cat({found.back().detach(), message[1]}, 1);
  if (!neighbors.is_first()) {
    std::vector<torch::Tensor> parts{found.front().detach(), of_vectors, continues};
    if (!norms_shared_) parts.push_back(message[3]);
    neighbors.send_down(parts, operation);
  } else if (!norms_shared_) {
    search_->set_norms(message[3]);
  }
  norms_shared_ = true;
  drop_evaluation();
  if (!some_continue) return end_phase();
  if (neighbors.is_first()) {
    search_->step(shared_.mean_of(of_vectors), phase().until_converged ? 0 : phase().evaluations);
  }
  drop_all_but(continues);
  if (!phase().until_converged && evaluated_ == phase().evaluations) end_phase();
}

void GroupSearch::keep_losses() {
  const torch::NoGradGuard no_gradients;
  const auto now = at::stack({loss_.nll, loss_.matches.to(torch::kFloat)}, 1);
  if (losses_.defined()) {
    losses_.index_copy_(0, rows_, now);
  } else {
    losses_ = now;
    rows_ = at::arange(now.size(0), now.options().dtype(torch::kLong));
  }
}

void GroupSearch::drop_all_but(const torch::Tensor& continues) {
  const auto index = continues.nonzero().squeeze(1);
  if (index.size(0) == continues.size(0)) return;
  if (search_) search_->keep(index);
  if (rows_.defined()) rows_ = rows_.index_select(0, index);
  const auto on_host = index.cpu();
  forward_->keep({on_host.data_ptr<std::int64_t>(), static_cast<std::size_t>(on_host.numel())});
  shared_ = shared_values();
}

void GroupSearch::drop_evaluation() {
  entering_ = vectors_ = leaving_ = torch::Tensor();
  loss_ = {};
}

void GroupSearch::end_phase() {
  ++phase_;
  evaluated_ = 0;
}

InjectedForward GroupSearch::take_forward() {
  if (!forward_->is_filled()) (void)forward_->fill_caches({});  // of a stage without layers after the injection
  io::check(forward_->edits() == shape_.front(), "a forward pass is kept of a search that no edit has left");
  InjectedForward taken = std::move(*forward_);
  release();
  return taken;
}

torch::Tensor GroupSearch::values() const {
  io::check(is_done() && search_ != nullptr, "values are found when the search is done, on the first stage");
  if (has_losses()) return search_->values();
  return at::cat({search_->point(), search_->mean_gradient()}, 1);
}

std::vector<std::int64_t> GroupSearch::values_shape() const {
  auto shape = shape_;
  if (!has_losses()) shape[1] *= 2;
  return shape;
}

}  // namespace anchorage::worker
