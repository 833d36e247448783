"""The other side of tests/unit/io/run/journal/segment_test.cpp and npz_test.cpp: h5py and NumPy on our files and for them.

  check-segments DIR  reads the segments of tests/support/sample_segment.hpp by formats.md and fails where they differ
  check-statistics F  reads the statistics of statistics_file_test.cpp
  check-subjects F    reads the same with subjects added
  write-npz DIR       writes archives as numpy.savez, numpy.savez_compressed and ROME's layer_stats do
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import h5py
import numpy as np


def sample(rows, columns, start):
    return np.sin(start + np.arange(rows * columns, dtype=np.float64)).astype(np.float32).reshape(rows, columns)


def text(dataset):
    return list(dataset.asstr()[:])


def close(left, right):
    np.testing.assert_allclose(left, right, rtol=1e-6)


def check_every_dataset_is_stored_as_said(name, item):
    if isinstance(item, h5py.Dataset) and item.size:
        assert item.chunks and item.fletcher32, name


def check_segments(directory):
    path = Path(directory) / "seg-00000001.h5"
    content = path.read_bytes()
    body, seal = content[:-82], content[-82:]
    assert seal == b"anchorage sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n"
    with h5py.File(path, "r") as file:
        file.visititems(check_every_dataset_is_stored_as_said)
        expected = {"schema": "anchorage-segment/2", "kind": "batch", "batch": 1, "previous": "",
                    "utc": "2026-11-23T07:00:00Z", "version": "0.1.0", "world": 2, "seed": -7}
        assert dict(file.attrs) == expected, dict(file.attrs)
        edits = file["edits"]
        assert text(edits["id"]) == ["ceo-1", "a much longer id than the first"]
        assert json.loads(text(edits["request"])[0]) == {"subject": "Zürich", "target": "東京 🙂"}
        assert text(edits["state"]) == ["committed", "set_aside"]
        assert text(edits["reason"]) == ["", "the held-out loss rose by 0.2"]
        assert list(edits["nll_before"]) == [9.25, 3] and list(edits["nll_after"]) == [0.125, 4]
        assert list(edits["match_before"]) == [0, 1] and list(edits["match_after"]) == [1, 0]
        assert set(file["layers"]) == {"4", "10"}
        for layer in (4, 10):
            group = file[f"layers/{layer}"]
            start = 10 + layer
            close(group["keys"], sample(2, 6, start))
            close(group["update/u"], sample(4, 3, start + 1))
            close(group["update/v"], sample(6, 3, start + 2))
            assert group["keys"].dtype == group["update/u"].dtype == np.float32
            assert list(group["update/edits"]) == [0, 0, 1] and group["update"].attrs["kind"] == "low_rank"
            residuals = group["residuals"]
            assert list(residuals["offsets"]) == [0, 2, 2] and residuals["offsets"].dtype == np.int64
            assert list(residuals["indices"]) == [1, 3] and residuals["indices"].dtype == np.int32
            assert list(residuals["values"]) == [0.5, -0.25]
            anchors = file[f"anchors/{layer}"]
            assert list(anchors["offsets"]) == [0, 1, 3] and list(anchors["indices"]) == [2, 0, 3]
            assert list(anchors["scores"]) == [1, 2, 3] and list(anchors["rolling"]) == [0.1, 0.2, 0.3, start]
            assert dict(anchors.attrs) == {"kept": 5, "entered": 6, "left": 7}
        norms = file["norms"]
        assert list(norms["layers"]) == [4, 10] and list(norms["base"]) == [14, 20]
        assert list(norms["update"]) == [0.1, 0.1] and list(norms["total"]) == [0.2, 0.2]
        assert text(file["guard/probes"]) == ["held-out loss"] and file["guard"].attrs["decision"] == "accepted"
        assert list(file["guard/before"]) == [3.5] and list(file["guard/after"]) == [3.75]
    with h5py.File(Path(directory) / "seg-00000000.h5", "r") as file:
        assert file.attrs["kind"] == "base" and file["edits/id"].size == 0 and not list(file["layers"])
        base = file["base"]
        assert dict(base.attrs) == {"model": "aa", "tokenizer": "bb", "statistics": "cc", "hparams": "layers: [4, 10]\n"}
        assert list(base["layers"]) == [4] and text(base["weights"]) == ["model.layers.4.mlp.down_proj.weight"]
        assert list(base["rows"]) == [4] and list(base["columns"]) == [6] and list(base["norms"]) == [12.5]


def make_dense(path):
    """Calls the updates of a segment's layer 4 and of its removal dense, a kind that no version knows."""
    with h5py.File(path, "r+") as file:
        for group in ("layers/4/update", "removal/layers/4"):
            if group in file:
                file[group].attrs["kind"] = "dense"


def check_statistics(path):
    with h5py.File(path, "r") as file:
        file.visititems(check_every_dataset_is_stored_as_said)
        assert file.attrs["schema"] == "anchorage-statistics/1" and file.attrs["state"] == "finished"
        assert file.attrs["model_name"] == "demo" and file.attrs["tokens"] == 1000
        assert file["layers/4/moment"].dtype == np.float32
        assert file["layers/4/moment"][:].tolist() == [[2, 0.5], [0.5, 1]]
        assert list(file["residual_norm_median"]) == [150, 200, 250]


def check_subjects(path):
    check_statistics(path)
    with h5py.File(path, "r") as file:
        assert file.attrs["subjects"] == "dddd" and file.attrs["subject_rows"] == 300
        assert len(file.attrs["without_subjects"]) == 64
        assert file["layers/4/subject_moment"].dtype == np.float32
        assert file["layers/4/subject_moment"][:].tolist() == [[5, 0.25], [0.25, 6]]
        assert file["layers/10/subject_moment"][:].tolist() == [[7, 1], [1, 8]]


def rome_statistics(keys):
    total = (keys.T @ keys).astype(np.float32)
    return {"mom2.constructor": "util.runningstats.SecondMoment()", "mom2.count": len(keys), "mom2.mom2": total,
            "sample_size": 100000}


def write_npz(directory):
    directory = Path(directory)
    arrays = {"f4": np.float32([[1.5, -2], [3, 4]]), "f8": np.float64([0.1]), "i8": np.int64(7), "i4": np.int32([1, -2]),
              "fortran": np.asfortranarray(np.arange(24, dtype=np.float64).reshape(2, 3, 4)),
              "empty": np.zeros((0, 3), np.float32), "huge": np.int64([2**60]), "f2": np.float16([1]),
              "text": "not a number", "big": np.arange(400_000, dtype=np.float32)}
    np.savez(directory / "plain.npz", **arrays)
    np.savez_compressed(directory / "compressed.npz", **arrays)
    generator = np.random.default_rng(5)
    keys = generator.standard_normal((50, 8)).astype(np.float32)
    keys.tofile(directory / "keys.f32")
    good = rome_statistics(keys)
    np.savez(directory / "rome.npz", **good)
    np.savez(directory / "no_count.npz", **{k: v for k, v in good.items() if k != "mom2.count"})
    np.savez(directory / "zero.npz", **{**good, "mom2.count": 0})
    lopsided = good["mom2.mom2"].copy()
    lopsided[1, 0] += 10
    np.savez(directory / "lopsided.npz", **{**good, "mom2.mom2": lopsided})
    one_nan = good["mom2.mom2"].copy()
    one_nan[5, 2] = np.nan
    np.savez(directory / "nan.npz", **{**good, "mom2.mom2": one_nan})
    np.savez(directory / "nan_count.npz", **{**good, "mom2.count": np.array(np.nan)})
    infinite = good["mom2.mom2"].copy()
    infinite[3, 3] = math.inf
    np.savez(directory / "infinite.npz", **{**good, "mom2.mom2": infinite})


if __name__ == "__main__":
    commands = {"check-segments": check_segments, "check-statistics": check_statistics,
                "check-subjects": check_subjects, "make-dense": make_dense, "write-npz": write_npz}
    commands[sys.argv[1]](sys.argv[2])
