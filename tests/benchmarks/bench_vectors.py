r"""Millions of vectors, flat beside inverted lists: recall, latency, memory and time to build.

Where there are not so many real embeddings, there are real ones turned: a synthetic city is drawn
and indexed at H3 11 by the demo model, each copy of its imagery vectors is turned by a random
rotation of its own and moved by a little noise, and all are laid into 768 dimensions by one
isometry, which keeps every inner product. Queries are the vectors of the city's street photos,
turned like one of the copies; half of them tune, the other half measure.

A million is part of ``make bench``. Other sizes::

    PYTHONPATH=.:tests/benchmarks .venv/bin/python tests/benchmarks/bench_vectors.py \
        --count 10000000 --folder /a/disk/with/26/GB --kinds ivf-sq8 ivf-pq

Lists of a million are so short that all rows of those looked into fit on the shortlist; with
``--shortlist 1000`` the codes decide who is on it, as they do in far larger indexes.

It leaves nothing in the folder. A vector takes 2.4 kB of the disk.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import report

from gair.arrays import Floats32, Ints
from indexer.index.ivf import IndexType, InvertedLists, index_type_for
from indexer.index.ivf_build import GATE, QUERIES, build_lists
from indexer.index.vectors import FaissStore, FlatWriter
from indexer.search.geolocator import Geolocator
from indexer.search.space import SCORED_AT_ONCE

DIM = 768
NOISE = 0.1
"""Length of the noise that copies are moved by, beside vectors of length 1."""
BEST = 10
MOST_SERVING_S = 120.0
"""For how long each kind is asked."""
SHORTLIST = 10_000
MOST_RSS = 1.1
"""Memory that serving takes, as a multiple of what it touches of the mapped files."""
_ROWS_AT_ONCE = 16_384


def real_embeddings(folder: Path) -> tuple[Floats32, Floats32]:
    """Imagery vectors of the cells of a synthetic city, and vectors of its street photos."""
    from indexer.commands.cli import main as index
    from indexer.photos.vectors import photo_vectors
    from training.synthetic.cli import main as draw

    city = folder / "city"
    flags = ["--side-km", "8", "--photos", str(2 * QUERIES), "--dates", "1"]
    assert draw(["city", "--out", str(city), *flags]) == 0
    imagery = city / "imagery" if (city / "imagery").is_dir() else city
    argv = ["build", "--imagery", str(imagery), "--model", "shipped:demo", "--resolution", "11"]
    assert index([*argv, "--name", "city", "--out", str(folder / "indexes"), "--quiet"]) == 0
    geolocator = Geolocator.open("city", indexes_dir=folder / "indexes")
    photos = photo_vectors(geolocator, city / "photos.csv", cache=None, quiet=True)
    store = geolocator.index.rs
    return store.vectors(np.arange(store.count)), photos.s


class Turned:
    """Copies of embeddings, each turned at random, in :data:`DIM` dimensions."""

    def __init__(self, cells: Floats32, photos: Floats32, seed: int = 0) -> None:
        self.cells, self.photos, self.seed = cells, photos, seed
        rng = np.random.default_rng(seed)
        self.lift = _orthonormal(rng, DIM, cells.shape[1]).T  # (d, D)

    def rotation(self, copy: int) -> Floats32:
        """Of one copy."""
        d = self.cells.shape[1]
        return _orthonormal(np.random.default_rng((self.seed, copy)), d, d)

    def rows(self, count: int) -> Iterator[Floats32]:
        """The first so many vectors, block by block."""
        done, copy = 0, 0
        while done < count:
            rng = np.random.default_rng((self.seed, copy, 1))
            turned = self.cells[: count - done] @ self.rotation(copy)
            noise = rng.standard_normal(turned.shape, dtype=np.float32)
            turned += noise * float(NOISE / np.sqrt(turned.shape[1]))
            turned /= np.linalg.norm(turned, axis=1, keepdims=True)
            yield turned @ self.lift
            done, copy = done + len(turned), copy + 1

    def queries(self, count: int) -> Floats32:
        """Every photo, turned like one of the copies there are among so many vectors."""
        copies = max(count // len(self.cells), 1)
        turned = [s @ self.rotation(n * 7919 % copies) for n, s in enumerate(self.photos)]
        return np.asarray(np.stack(turned) @ self.lift, dtype=np.float32)


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> Floats32:
    """(rows, columns) with orthonormal columns."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return np.asarray(q * np.sign(np.diag(r)), dtype=np.float32)


def exact(store: FaissStore, s: Floats32) -> Ints:
    """The best rows of each query, in one pass over the file: (Q, 10)."""
    scores = np.full((len(s), BEST), -np.inf, dtype=np.float32)
    rows = np.full(scores.shape, -1, dtype=np.int64)
    for start in range(0, store.count, _ROWS_AT_ONCE):
        found = s @ store.halves(slice(start, start + _ROWS_AT_ONCE)).astype(np.float32).T
        every = np.concatenate([scores, found], axis=1)
        numbers = np.broadcast_to(np.arange(start, start + found.shape[1]), found.shape)
        best = np.argpartition(-every, BEST - 1, axis=1)[:, :BEST]
        rows = np.take_along_axis(np.concatenate([rows, numbers], axis=1), best, axis=1)
        scores = np.take_along_axis(every, best, axis=1)
    return rows


def flat_search(store: FaissStore, s: Floats32) -> Ints:
    """One photo against every row, as a search does it: (D,) to (10,) rows."""
    scores = store.scores(s[None])[0]
    best = np.argpartition(-scores, BEST)[:BEST]
    return np.asarray(best[np.argsort(-scores[best])])


def listed_search(store: FaissStore, lists: InvertedLists, s: Floats32, shortlist: int) -> Ints:
    """One photo against a shortlist, exactly from the flat file: (D,) to (10,) rows."""
    rows = np.sort(lists.shortlist(s[None], shortlist)[0])
    rows = rows[rows >= 0]
    blocks = np.split(rows, np.arange(SCORED_AT_ONCE, len(rows), SCORED_AT_ONCE))
    scores = np.concatenate([store.vectors(block) @ s for block in blocks])
    return np.asarray(rows[np.argsort(-scores)[:BEST]])


def tuned(store: FaissStore, path: Path, s: Floats32, shortlist: int) -> tuple[int, float]:
    """The fewest lists that pass the gate, and the recall with them; all lists if none do."""
    truth, probes, most = exact(store, s), 1, InvertedLists(path, 1).lists
    while True:
        found = InvertedLists(path, probes).shortlist(s, shortlist)
        recall = np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)])
        if recall >= GATE or probes >= most:
            return probes, float(recall)
        probes = min(2 * probes, most)


def serve(folder: Path, kind: str, probes: int, shortlist: int) -> dict[str, Any]:
    """What a process that only serves needs: seconds a query, and memory."""
    store_path, lists_path = folder / "rs.faiss", folder / f"{kind}.faiss"
    s = np.load(folder / "queries.npy")[QUERIES:]
    warm = s[:1] @ s[:1].T  # the threads and buffers of the libraries, before memory is looked at
    assert np.isfinite(warm).all()
    before = _memory()
    store = FaissStore(store_path)
    run: Callable[[Floats32], Ints] = lambda one: flat_search(store, one)  # noqa: E731
    if kind != "flat":
        lists = InvertedLists(lists_path, probes)
        run = lambda one: listed_search(store, lists, one, shortlist)  # noqa: E731
    times, found = [], []
    for one in s:
        since = time.perf_counter()
        found.append(run(one))
        times.append(time.perf_counter() - since)
        if len(times) > 5 and sum(times) > MOST_SERVING_S:
            break
    after, touched = _memory(), _resident([store_path, lists_path])
    held = after["RssAnon"] - before["RssAnon"] + touched
    return {
        "p50_ms": 1e3 * float(np.median(times[1:])),
        "p95_ms": 1e3 * float(np.percentile(times[1:], 95)),
        "queries": len(times) - 1,
        "rows": [rows.tolist() for rows in found],
        "rss_mb": after["VmRSS"] / 1e6,
        "touched_mb": touched / 1e6,
        "over_touched": held / touched,
    }


def _memory() -> dict[str, int]:
    """Bytes of this process, by name."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon")}


def _resident(files: list[Path]) -> int:
    """Bytes of mapped files that are in this process's memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if " " in line and "-" in line.split()[0] and not line.split()[0].endswith(":"):
            ours = any(line.endswith(str(file)) for file in files)
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def measure(
    count: int, folder: Path, kinds: Sequence[IndexType], shortlist: int = SHORTLIST
) -> dict[str, dict[str, Any]]:
    """Build the flat file and lists of each kind; serve from each in a process of its own."""
    rs = folder / "rs.faiss"
    turned = Turned(*real_embeddings(folder))
    np.save(folder / "queries.npy", turned.queries(count))
    s = np.load(folder / "queries.npy")
    since = time.perf_counter()
    with FlatWriter(rs, DIM) as writer:
        for block in turned.rows(count):
            writer.append(block)
    flat_s = time.perf_counter() - since
    _say(f"{count:,} vectors written in {flat_s:.0f} s")
    store = FaissStore(rs)
    found: dict[str, dict[str, Any]] = {"flat": {"build_s": flat_s, "bytes": rs.stat().st_size}}
    found |= {kind: _listed(folder, store, kind, s[:QUERIES], shortlist) for kind in kinds}
    truth = exact(store, s[QUERIES:])
    del store
    for name, facts in found.items():
        facts |= _served(folder, name, facts.get("probes", 1), shortlist)
        hits = [np.isin(t, f).mean() for t, f in zip(truth, facts.pop("rows"), strict=False)]
        facts["recall"] = float(np.mean(hits))
        _say(f"{name}: {json.dumps(facts)}")
    return found


def _listed(
    folder: Path, store: FaissStore, kind: IndexType, s: Floats32, shortlist: int
) -> dict[str, Any]:
    """Build lists of one kind and tune them with some queries."""
    path, since = folder / f"{kind}.faiss", time.perf_counter()
    number = build_lists(path, store, kind)
    build_s = time.perf_counter() - since
    since = time.perf_counter()
    probes, recall = tuned(store, path, s, shortlist)
    tune_s = time.perf_counter() - since
    _say(f"{kind}: {number:,} lists in {build_s:.0f} s; {probes} pass, found in {tune_s:.0f} s")
    return {
        "build_s": build_s,
        "tune_s": tune_s,
        "bytes": path.stat().st_size,
        "lists": number,
        "probes": probes,
        "tuned_recall": recall,
    }


def _served(folder: Path, kind: str, probes: int, shortlist: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--serve", kind, "--folder", str(folder)]
    command += ["--probes", str(probes), "--shortlist", str(shortlist)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def lines_of(found: dict[str, dict[str, Any]]) -> list[str]:
    """The results as a table."""
    head = (
        "",
        "build s",
        "GB",
        "recall@10",
        "p50 ms",
        "p95 ms",
        "RSS MB",
        "touched",
        "RSS/touched",
    )
    rows = [
        (
            name,
            f"{f['build_s']:.0f}",
            f"{f['bytes'] / 1e9:.2f}",
            f"{f['recall']:.3f}",
            f"{f['p50_ms']:.1f}",
            f"{f['p95_ms']:.1f}",
            f"{f['rss_mb']:,.0f}",
            f"{f['touched_mb']:,.0f}",
            f"{f['over_touched']:.2f}",
        )
        for name, f in found.items()
    ]
    return ["".join(f"{cell:>12}" for cell in row) for row in (head, *rows)]


def usual(count: int) -> IndexType:
    """The kind of lists that an index of so many cells has, or would have were it larger."""
    kind = index_type_for(count)
    return "ivf-sq8" if kind == "flat" else kind


def _say(text: str) -> None:
    print(f"   {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def test_vectors(tmp_path: Path) -> None:
    found = measure(1_000_000, tmp_path, ("ivf-sq8", "ivf-pq"))
    report("1,000,000 turned embeddings of 768 dimensions", *lines_of(found))
    for name, facts in found.items():
        assert facts["recall"] >= GATE, name
        assert facts["over_touched"] <= MOST_RSS, name
    assert found["ivf-sq8"]["p50_ms"] < found["flat"]["p50_ms"]


def main() -> None:
    """Measure another size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where there is space (default: a temporary)")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    kinds = ("ivf-sq8", "ivf-pq")
    parser.add_argument("--kinds", nargs="+", choices=kinds, help="of lists (default: by size)")
    parser.add_argument("--shortlist", type=int, default=SHORTLIST, help="(default: %(default)s)")
    parser.add_argument("--probes", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        print(json.dumps(serve(args.folder, args.serve, args.probes, args.shortlist)))
        return
    with tempfile.TemporaryDirectory(dir=args.folder, prefix="bench-vectors-") as folder:
        found = measure(
            args.count, Path(folder), args.kinds or (usual(args.count),), args.shortlist
        )
    report(f"{args.count:,} turned embeddings of {DIM} dimensions", *lines_of(found))


if __name__ == "__main__":
    main()
