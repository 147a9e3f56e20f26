r"""Millions of vectors, flat beside inverted lists: recall, latency, memory and time to build.

Where there are not so many real embeddings, there are real ones turned: a synthetic city is drawn
and indexed at H3 11 by the demo model, each copy of its imagery vectors is turned by a random
rotation of its own and moved by a little noise, and all are laid into 768 dimensions (``--dim``)
by one isometry, which keeps every inner product. Queries are the vectors of the city's street
photos, turned like one of the copies; half of them tune, the other half measure.

A million is part of ``make bench``. Other sizes::

    PYTHONPATH=.:tests/benchmarks .venv/bin/python tests/benchmarks/bench_vectors.py \
        --count 10000000 --folder /a/disk/with/26/GB --kinds ivf-sq8 ivf-pq

and in the width of the demo model, 2.6 GB for ten million::

    ... --count 10000000 --dim 128 --folder /a/disk/with/5/GB --kinds ivf-pq

Lists of a million are so short that all rows of those looked into fit on the shortlist; with
``--shortlist 1000`` the codes decide who is on it, as they do in far larger indexes.

Lists are asked twice: as by a server that has run for a while, and *cold*, with the files taken out
of memory before every query, so that the rows come from the disk (from whatever is the disk: what
the host of a virtual machine keeps cannot be taken away). It leaves nothing in the folder unless
``--keep`` says so, and then goes on from what is there. A vector of 768 takes 2.4 kB of the disk.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measuring import memory_bytes, report
from memory_use import Usage, forget, read_bytes, resident

from gair.arrays import Floats32, Ints
from indexer.index.ivf import IndexType, InvertedLists, index_type_for
from indexer.index.ivf_build import GATE, QUERIES, build_lists
from indexer.index.vectors import FaissStore, FlatWriter
from indexer.search.geolocator import Geolocator
from indexer.search.space import SCORED_AT_ONCE

DIM = 768
"""Unless asked for another."""
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
    """Copies of embeddings, each turned at random, in so many dimensions."""

    def __init__(self, cells: Floats32, photos: Floats32, dim: int = DIM, seed: int = 0) -> None:
        self.cells, self.photos, self.seed = cells, photos, seed
        rng = np.random.default_rng(seed)
        self.lift = _orthonormal(rng, dim, cells.shape[1]).T  # (d, D)

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
        # Most blocks have nothing better for most queries, and sorting costs more than looking.
        for query in np.flatnonzero(found.max(axis=1) > scores.min(axis=1)):
            every = np.concatenate([scores[query], found[query]])
            best = np.argpartition(-every, BEST - 1)[:BEST]
            numbers = np.concatenate([rows[query], np.arange(start, start + found.shape[1])])
            scores[query], rows[query] = every[best], numbers[best]
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


def tuned(path: Path, s: Floats32, truth: Ints, shortlist: int) -> tuple[int, float]:
    """The fewest lists that pass the gate, and the recall with them; all lists if none do."""
    probes, lists = 1, InvertedLists(path, 1)
    while True:
        found = lists.probed(s, shortlist, probes)
        recall = np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)])
        if recall >= GATE or probes >= lists.lists:
            return probes, float(recall)
        probes = min(2 * probes, lists.lists)


def serve(
    folder: Path, kind: str, probes: int, shortlist: int, cold: bool = False
) -> dict[str, Any]:
    """What a process that only serves needs: seconds a query, and memory."""
    store_path, lists_path = folder / "rs.faiss", folder / f"{kind}.faiss"
    s = np.load(folder / "queries.npy")[QUERIES:]
    warm = s[:1] @ s[:1].T  # the threads and buffers of the libraries, before memory is looked at
    assert np.isfinite(warm).all()
    before_bytes = memory_bytes("RssAnon")
    store = FaissStore(store_path)
    lists = None if kind == "flat" else InvertedLists(lists_path, probes)
    times, processor, found = [], [], []
    begun_bytes = read_bytes()
    for one in s:
        if cold:
            del store  # what is mapped stays in memory
            forget(store_path)
            if lists is not None and lists.scalar:  # the others are held in memory
                del lists
                forget(lists_path)
                lists = InvertedLists(lists_path, probes)
            store = FaissStore(store_path)
        since, cpu = time.perf_counter(), time.process_time()
        if lists is None:
            found.append(flat_search(store, one))
        else:
            found.append(listed_search(store, lists, one, shortlist))
        times.append(time.perf_counter() - since)
        processor.append(time.process_time() - cpu)
        if len(times) > 5 and sum(times) > MOST_SERVING_S:
            break
    touched = resident([store_path, lists_path])
    held = memory_bytes("RssAnon") - before_bytes + touched
    return {
        "p50_ms": 1e3 * float(np.median(times[1:])),
        "p95_ms": 1e3 * float(np.percentile(times[1:], 95)),
        "cpu_p50_ms": 1e3 * float(np.median(processor[1:])),
        "read_mb": (read_bytes() - begun_bytes) / len(times) / 1e6,
        "queries": len(times) - 1,
        "rows": [rows.tolist() for rows in found],
        "rss_mb": memory_bytes("VmRSS") / 1e6,
        "touched_mb": touched / 1e6,
        "over_touched": held / touched,
    }


def measure(
    count: int,
    folder: Path,
    kinds: Sequence[IndexType],
    shortlist: int = SHORTLIST,
    dim: int = DIM,
) -> dict[str, dict[str, Any]]:
    """Build the flat file and lists of each kind; serve from each in a process of its own.

    What is there of an earlier run in the folder is taken as it is.
    """
    found = {"flat": _kept(folder / "flat.json", lambda: _flat(folder, count, dim))}
    s = np.load(folder / "queries.npy")
    if not (folder / "truth.npy").exists():
        np.save(folder / "truth.npy", exact(FaissStore(folder / "rs.faiss"), s))
    truth = np.load(folder / "truth.npy")
    _say("the exact answers are known")
    for kind in kinds:
        found[kind] = _kept(folder / f"{kind}.json", functools.partial(_listed, folder, kind))
        path, since = folder / f"{kind}.faiss", time.perf_counter()
        probes, recall = tuned(path, s[:QUERIES], truth[:QUERIES], shortlist)
        found[kind] |= {"probes": probes, "tuned_recall": recall}
        _say(f"{kind}: {probes} lists pass, found in {time.perf_counter() - since:.0f} s")
    for name, facts in list(found.items()):
        for served in [name, f"{name} cold"][: 1 + (name != "flat")]:
            facts = facts | _served(folder, served, facts.get("probes", 1), shortlist)
            pairs = zip(truth[QUERIES:], facts.pop("rows"), strict=False)
            facts["recall"] = float(np.mean([np.isin(t, f).mean() for t, f in pairs]))
            found[served] = facts
            _say(f"{served}: {json.dumps(facts)}")
    return found


def _kept(facts: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What making a file took, now or in an earlier run."""
    if not facts.exists():
        facts.write_text(json.dumps(make()))
    kept: dict[str, Any] = json.loads(facts.read_text())
    _say(f"{facts.stem}: {kept}")
    return kept


def _flat(folder: Path, count: int, dim: int) -> dict[str, Any]:
    """Write the vectors and the queries."""
    rs = folder / "rs.faiss"
    if not (folder / "cells.npy").exists():
        cells, photos = real_embeddings(folder)
        np.save(folder / "photos.npy", photos)
        np.save(folder / "cells.npy", cells)
    turned = Turned(np.load(folder / "cells.npy"), np.load(folder / "photos.npy"), dim)
    np.save(folder / "queries.npy", turned.queries(count))
    with Usage() as usage, FlatWriter(rs, dim) as writer:
        for block in turned.rows(count):
            writer.append(block)
    return usage.facts() | {"bytes": rs.stat().st_size}


def _listed(folder: Path, kind: IndexType) -> dict[str, Any]:
    """Build lists of one kind."""
    path, store = folder / f"{kind}.faiss", FaissStore(folder / "rs.faiss")
    with Usage() as usage:
        number = build_lists(path, store, kind)
    return usage.facts() | {"bytes": path.stat().st_size, "lists": number}


def _served(folder: Path, served: str, probes: int, shortlist: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--serve", *served.split(), "--folder", str(folder)]
    command += ["--probes", str(probes), "--shortlist", str(shortlist)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def lines_of(found: dict[str, dict[str, Any]]) -> list[str]:
    """The results as a table."""
    head = ["", "build s", "CPU s", "peak GB", "GB", "recall@10", "p50 ms", "p95 ms", "CPU ms"]
    head += ["read MB", "RSS MB", "touched", "RSS/touched"]
    rows = [
        (
            name,
            f"{f['build_s']:.0f}",
            f"{f['cpu_s']:.0f}",
            f"{f['peak_gb']:.2f}",
            f"{f['bytes'] / 1e9:.2f}",
            f"{f['recall']:.3f}",
            f"{f['p50_ms']:.1f}",
            f"{f['p95_ms']:.1f}",
            f"{f['cpu_p50_ms']:.1f}",
            f"{f['read_mb']:.1f}",
            f"{f['rss_mb']:,.0f}",
            f"{f['touched_mb']:,.0f}",
            f"{f['over_touched']:.2f}",
        )
        for name, f in found.items()
    ]
    return ["".join(f"{cell:>13}" for cell in row) for row in (head, *rows)]


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
        assert "cold" in name or facts["over_touched"] <= MOST_RSS, name
    assert found["ivf-sq8"]["p50_ms"] < found["flat"]["p50_ms"]


def main() -> None:
    """Measure another size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where there is space (default: a temporary)")
    parser.add_argument("--keep", action="store_true", help="leave the files in the folder")
    parser.add_argument("--dim", type=int, default=DIM, help="of vectors (default: %(default)s)")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    kinds = ("ivf-sq8", "ivf-pq")
    parser.add_argument("--kinds", nargs="+", choices=kinds, help="of lists (default: by size)")
    parser.add_argument("--shortlist", type=int, default=SHORTLIST, help="(default: %(default)s)")
    parser.add_argument("--probes", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        kind, cold = args.serve[0], "cold" in args.serve
        print(json.dumps(serve(args.folder, kind, args.probes, args.shortlist, cold)))
        return
    sizes = args.kinds or (usual(args.count),), args.shortlist, args.dim
    if args.keep:
        found = measure(args.count, args.folder, *sizes)
    else:
        if args.folder is not None:
            args.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=args.folder, prefix="bench-vectors-") as folder:
            found = measure(args.count, Path(folder), *sizes)
    title = f"{args.count:,} turned embeddings of {args.dim} dimensions"
    report(f"{title}, load now {os.getloadavg()[0]:.1f}", *lines_of(found))


if __name__ == "__main__":
    main()
