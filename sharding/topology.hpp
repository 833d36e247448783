// Maps ranks to what they hold: world = stages x replicas.
//
// A stage is a contiguous range of the model's layers; a replica is one full set of stages. Neighboring ranks
// are neighboring stages of one replica, so that activations travel the shortest path and a node holds whole
// replicas.
#pragma once

namespace anchorage::sharding {

struct Place {
  int stage = 0;
  int replica = 0;

  bool operator==(const Place&) const = default;
};

class Topology {
 public:
  // Throws InternalError unless both are at least 1.
  Topology(int stages, int replicas);

  [[nodiscard]] int stages() const { return stages_; }
  [[nodiscard]] int replicas() const { return replicas_; }
  [[nodiscard]] int size() const { return stages_ * replicas_; }

  // rank = replica * stages + stage. Throws InternalError past the end.
  [[nodiscard]] Place place_of(int rank) const;
  [[nodiscard]] int rank_of(Place place) const;

 private:
  int stages_;
  int replicas_;
};

}  // namespace anchorage::sharding
