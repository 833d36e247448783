// The edited matrices: f32 masters beside the model's own matrices, whatever their dtype. Each stage has those of
// the layers that it holds.
//
// The model computes with an update as soon as it is added. The master takes it in when it is accepted, so that one
// copy of a matrix is enough to revert a batch.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "io/model/model_directory.hpp"
#include "io/run/journal/segment.hpp"
#include "worker/model/transformer.hpp"

namespace anchorage::worker {

class EditedWeights {
 public:
  // Borrows the model and its directory.
  EditedWeights(Transformer& model, const io::ModelDirectory& base, const std::vector<std::int64_t>& layers);

  const std::vector<std::int64_t>& layers() const { return layers_; }  // on all stages
  bool holds(std::int64_t layer) const { return masters_.contains(layer); }
  std::int64_t key_width() const { return model_.config.d_ff; }
  torch::Device device() const { return model_.device(); }
  // Returns the weight without what waits, [d, f] f32.
  const torch::Tensor& master(std::int64_t layer) const { return masters_.at(layer); }

  // Adds W <- W + u v^T for u [d, r], v [f, r] f32 on any device, where this rank holds W; it waits to be accepted.
  // Weights change in this way only, some rows at a time, so that replaying a journal gives the same bits.
  void add(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v);
  // Adds an update that is accepted already.
  void replay(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v);

  // Forgets the updates that were added after `mark`.
  using Mark = std::map<std::int64_t, std::size_t>;
  Mark mark() const;
  void rewind(const Mark& mark);

  // Take what waits into the masters, or forget it.
  void accept();
  void discard() { rewind({}); }

  // Replaces a weight, of a checkpoint; nothing waits.
  void restore(std::int64_t layer, const torch::Tensor& master);

  // Calls `action` while the model computes with the unedited matrices; nothing waits.
  template <class Action>
  auto with_base(const Action& action) {
    const BaseShown shown(*this);
    return action();
  }

  // Returns |u v^T|, |W - W(base)| and |W(base)|, with what waits. On a GPU the first call of a layer takes the
  // base there, in the dtype of its file.
  io::LayerNorms norms(std::int64_t layer, const torch::Tensor& u, const torch::Tensor& v) const;

  // Reads the unedited matrix [d, f] f32 from the model's directory.
  torch::Tensor base(std::int64_t layer) const;

 private:
  // Shows the model the unedited matrices for as long as it lives.
  class BaseShown {
   public:
    explicit BaseShown(EditedWeights& weights);
    ~BaseShown();
    BaseShown(const BaseShown&) = delete;
    BaseShown& operator=(const BaseShown&) = delete;

   private:
    EditedWeights& weights_;
  };

  struct Update {
    torch::Tensor u, v;
  };
  struct Base {
    torch::Tensor weight;  // [d, f] as the file has it, on the model's device
    double norm = 0;
  };
  // Calls `use` with each part of the rows: their first one, and W there with what waits.
  using UseOfRows = std::function<void(std::int64_t begin, const torch::Tensor& rows)>;
  void for_rows(std::int64_t layer, const UseOfRows& use) const;
  void update_model(std::int64_t layer);
  const Base& base_of(std::int64_t layer) const;

  Transformer& model_;
  const io::ModelDirectory& directory_;
  std::vector<std::int64_t> layers_;
  std::map<std::int64_t, torch::Tensor> masters_;
  std::map<std::int64_t, std::vector<Update>> waiting_;
  mutable std::map<std::int64_t, Base> bases_;  // of layers whose norms have been asked for
};

// Adds u v^T to a weight [d, f] f32 in place, some rows at a time: the one way in which weights change, wherever
// they lie, so that whoever adds the same updates gets the same bits. All on one device.
void add_update(const torch::Tensor& weight, const torch::Tensor& u, const torch::Tensor& v);

// Computes the norms of the update u v^T, without forming it, and of the weight after it; inputs are f32,
// sums f64.
io::LayerNorms layer_norms(const torch::Tensor& u, const torch::Tensor& v, const torch::Tensor& weight,
                           const torch::Tensor& base);

}  // namespace anchorage::worker
