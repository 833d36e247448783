// The symmetric sweep operator (J. H. Goodnight, "A tutorial on the SWEEP operator", 1979) by blocks, with a
// Cholesky factor of each pivot, so that what is left to be swept is a Cholesky factorization's, which needs no
// pivoting and is stable. With the pivot A_kk = L L^T and Y_i = A_ik L^-T:
//
//   A_ij <- A_ij - Y_i Y_j^T,   A_ik <- Y_i L^-1,   A_kk <- -(L L^T)^-1
//
// and when every slab has been the pivot, A is -A^-1. A stays symmetric, so of two blocks that mirror each other
// one is computed, and the other is copied in the end. Slab after slab is the pivot, whoever holds it, so the bits
// are the same on any number of ranks.
#include "worker/editing/update/slab_inverse.hpp"

#include <algorithm>

#include "io/error.hpp"

namespace anchorage::worker {
namespace {

using Slabs = std::map<std::size_t, torch::Tensor>;

// Whether a slab computes its block of columns `of`, or its mirror image is computed: like the squares of a
// chessboard, so that every slab computes about half of its blocks.
bool computes(std::size_t slab, std::size_t of) {
  return slab == of || ((slab + of) % 2 == 0) == (of < slab);
}

[[noreturn]] void refuse_singular(std::int64_t row, std::int64_t dimensions) {
  throw io::UserError({.expected = "a positive definite second moment of the keys",
                       .found = fmt::format("one that is singular from row {} on", row),
                       .where = "",
                       .remedy = fmt::format("collect statistics from more tokens, at least {} for {} dimensions, "
                                             "or raise mom2_update_weight (with alphaedit: L2)",
                                             10 * dimensions, dimensions)});
}

// Factors the pivot's own block: L, on every rank, into `lower`.
void factor(const Slabs& slabs, const SlabPlace& place, std::size_t pivot, const torch::Tensor& lower) {
  auto failed = torch::zeros({1}, lower.options().dtype(torch::kLong));
  if (place.owns(pivot)) {
    const auto [factor, info] = at::linalg_cholesky_ex(place.columns_of(slabs.at(pivot), pivot));
    lower.copy_(factor);
    failed.fill_(info);
  }
  place.broadcast(failed, pivot, "broadcast whether a slab is singular");
  if (const auto row = failed.item<std::int64_t>(); row != 0)
    refuse_singular(place.rows[pivot].begin + row - 1, place.width());
  place.broadcast(lower, pivot, "broadcast a pivot's factor");
}

// Computes Y [f, rows of the pivot], with L in place of the pivot's own. Each part is computed where the block lies
// that it is made of.
void fill_panel(const Slabs& slabs, const SlabPlace& place, std::size_t pivot, const torch::Tensor& panel) {
  const auto lower = place.rows_of(panel, pivot);
  factor(slabs, place, pivot, lower);
  const auto computed_in = [&](std::size_t slab) { return computes(pivot, slab) ? pivot : slab; };
  for (std::size_t slab = 0; slab < place.rows.size(); ++slab) {
    if (slab == pivot || !place.owns(computed_in(slab))) continue;
    const auto block = computes(pivot, slab) ? place.columns_of(slabs.at(pivot), slab).t()
                                             : place.columns_of(slabs.at(slab), pivot);
    place.rows_of(panel, slab).copy_(at::linalg_solve_triangular(lower.t(), block, /*upper=*/true, /*left=*/false));
  }
  for (std::size_t slab = 0; slab < place.rows.size(); ++slab) {
    if (slab != pivot) place.broadcast(place.rows_of(panel, slab), computed_in(slab), "broadcast pivot rows");
  }
}

void sweep(Slabs& slabs, const SlabPlace& place, std::size_t pivot, const torch::Tensor& panel) {
  const auto part = [&](std::size_t slab) { return place.rows_of(panel, slab); };  // Y_i
  const auto lower = part(pivot);
  const auto swept = [&](std::size_t slab) {  // what A_ik becomes
    return at::linalg_solve_triangular(lower, part(slab), /*upper=*/false, /*left=*/false);
  };
  for (auto& [row, own] : slabs) {
    for (std::size_t of = 0; of < place.rows.size(); ++of) {
      if (!computes(row, of)) continue;
      auto block = place.columns_of(own, of);
      if (row != pivot && of != pivot) {
        block.addmm_(part(row), part(of).t(), 1, -1);
      } else if (row != pivot) {
        block.copy_(swept(row));
      } else if (of != pivot) {
        block.copy_(swept(of).t());
      } else {
        auto inverse = at::cholesky_inverse(lower);
        if (inverse.is_cuda()) inverse = (inverse + inverse.t()) / 2;  // CUDA solves for each column separately
        block.copy_(inverse.neg_());
      }
    }
  }
}

// Copies to every block that was not computed the one that was.
void mirror(Slabs& slabs, const SlabPlace& place) {
  constexpr std::string_view operation = "mirror blocks of an inverse";
  for (std::size_t row = 0; row < place.rows.size(); ++row) {
    for (std::size_t of = 0; of < place.rows.size(); ++of) {
      if (computes(row, of)) continue;
      if (place.owns(row) && place.owns(of)) {
        place.columns_of(slabs.at(row), of).copy_(place.columns_of(slabs.at(of), row).t());
      } else if (place.owns(of)) {
        place.world->send(place.columns_of(slabs.at(of), row).contiguous(), place.owners[row], operation);
      } else if (place.owns(row)) {
        const auto block = torch::empty({place.rows[of].size(), place.rows[row].size()}, slabs.at(row).options());
        place.world->receive(block, place.owners[of], operation);
        place.columns_of(slabs.at(row), of).copy_(block.t());
      }
    }
  }
}

}  // namespace

void invert(Slabs& slabs, const SlabPlace& place) {
  std::int64_t most_rows = 0;
  for (const sharding::Range& rows : place.rows) most_rows = std::max(most_rows, rows.size());
  const auto options = torch::TensorOptions(place.device).dtype(torch::kDouble);
  const auto scratch = torch::empty({place.width() * most_rows}, options);  // once, so that no holes are left
  for (std::size_t pivot = 0; pivot < place.rows.size(); ++pivot) {
    const std::int64_t rows = place.rows[pivot].size();
    const auto panel = scratch.narrow(0, 0, place.width() * rows).view({place.width(), rows});
    fill_panel(slabs, place, pivot, panel);
    sweep(slabs, place, pivot, panel);
  }
  for (auto& [slab, own] : slabs) own.neg_();
  mirror(slabs, place);
}

}  // namespace anchorage::worker
