"""The command line: ``python -m indexer build | search | info``.

Parsing needs nothing heavy, so ``--help`` answers at once; torch, FAISS and rasterio are imported
by the command that needs them.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import INTERRUPTED, complain, sigterm_as_ctrl_c
from gair.errors import GairError, PhotoError, UsageError
from indexer.arguments import parse

if TYPE_CHECKING:
    from gair.photos import Photo
    from indexer.answer import Answer
    from indexer.manifest import Manifest
    from indexer.regions import Region


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    arguments = parse(argv, build=_build, search=_search, info=_info)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold any bytes
    try:
        with sigterm_as_ctrl_c():
            status: int = arguments.run(arguments)
            sys.stdout.flush()
        return status
    except GairError as error:
        complain(error)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted: nothing was changed", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # there the reader has seen enough
            complain(error)
        _drop_unwritable_output()
        return 1


def _drop_unwritable_output() -> None:
    """Keep the interpreter from trying once more, at its end, what could not be written."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _build(arguments: argparse.Namespace) -> int:
    from gair.bands import parse_bands
    from indexer.imagery import open_imagery
    from indexer.storage import check_name

    bands = None if arguments.bands is None else parse_bands(arguments.bands)
    region = _region(arguments)
    imagery_path = Path(arguments.imagery)
    with open_imagery(
        imagery_path, bands=bands, dn_offset=arguments.dn_offset, dn_scale=arguments.dn_scale
    ) as imagery:
        if region is None:
            region = _whole(imagery_path.stem, imagery.coverage)
        name = check_name(region.name if arguments.name is None else arguments.name)
        if not arguments.quiet:
            _say(f"region {region.name}: {region.area_km2:,.1f} km2")
        from gair.model import Gair
        from indexer.build import BuildOptions, build_index

        model = Gair.from_pretrained(arguments.model).to(_device(arguments.device))
        report = build_index(
            name,
            region,
            imagery,
            model,
            arguments.out,
            options=BuildOptions(
                resolution=arguments.resolution,
                query_mode=arguments.rs_query,
                quiet=arguments.quiet,
            ),
            model_source=_findable(arguments.model),
        )
    print("\n".join(report.summary))
    if (peak_gb := _peak_memory_gb()) is not None:
        print(f"  peak memory: {peak_gb:.2f} GB")
    print("  time: " + ", ".join(f"{k} {v:.1f} s" for k, v in report.manifest.seconds.items()))
    return 0


def _region(arguments: argparse.Namespace) -> Region | None:
    from indexer.regions import named_region, parse_bbox, region_from_bbox, region_from_geojson

    name = arguments.name
    if arguments.region is not None:
        return named_region(arguments.region)
    if arguments.bbox is not None:
        return region_from_bbox(parse_bbox(arguments.bbox), name=name or "bbox")
    if arguments.polygon is not None:
        return region_from_geojson(arguments.polygon, name=name)
    return None


def _whole(name: str, coverage: Any) -> Region:  # noqa: ANN401
    from indexer.regions import Region

    return Region(name=name, geometry=coverage, attribution="")


def _search(arguments: argparse.Namespace) -> int:
    from indexer.geolocate import PHOTOS_AT_ONCE, Geolocator

    geolocator = Geolocator.open(
        arguments.index, indexes_dir=arguments.indexes, model=arguments.model
    )
    results: list[Answer | PhotoError] = []
    for start in range(0, len(arguments.photo), PHOTOS_AT_ONCE):  # decoded photos are large
        opened = [_opened(path) for path in arguments.photo[start : start + PHOTOS_AT_ONCE]]
        answers = iter(
            geolocator.search(
                [photo for photo in opened if not isinstance(photo, PhotoError)],
                k=arguments.k,
                rs_weight=arguments.rs_weight,
                location_weight=arguments.location_weight,
            )
        )
        results += [p if isinstance(p, PhotoError) else next(answers) for p in opened]
    failed = [result for result in results if isinstance(result, PhotoError)]
    if arguments.json:
        print(json.dumps([_as_json(r, p) for r, p in zip(results, arguments.photo, strict=True)]))
    else:
        for result in results:
            if not isinstance(result, PhotoError):
                print("\n".join(answer_lines(result)))
    for failure in failed:
        complain(failure)
    if failed and len(results) > 1:
        print(f"{len(failed)} of {len(results)} photos could not be read", file=sys.stderr)
    return 1 if failed else 0


def _opened(path: str) -> Photo | PhotoError:
    from gair.photos import open_photo

    try:
        return open_photo(path)
    except PhotoError as error:
        return error


def _as_json(result: Answer | PhotoError, path: str) -> dict[str, Any]:
    if isinstance(result, PhotoError):
        return {"photo": Path(path).name, "error": str(result)}
    return result.to_dict()


def answer_lines(answer: Answer) -> list[str]:
    """An answer as lines for a terminal."""
    lines = [
        f"{answer.photo}: {len(answer.candidates)} places of {answer.cells_searched:,} cells in "
        f"{answer.index}",
        "  rank   latitude   longitude   score      rs  location  cell             merged  spread",
    ]
    for c in answer.candidates:
        lines.append(
            f"  {c.rank:4d}  {c.lat_deg:9.5f}  {c.lon_deg:10.5f}  {c.score:6.3f}  {c.rs_score:6.3f}"
            f"    {c.location_score:6.3f}  {c.h3_cell}  {c.merged_cells:6d}  {c.spread_m:4.0f} m"
        )
    if answer.photo_gps_lonlat_deg is not None:
        lon_deg, lat_deg = answer.photo_gps_lonlat_deg
        lines.append(f"  the photo carries coordinates ({lat_deg:.5f}, {lon_deg:.5f}); not used")
    lines += [f"  note: {warning}" for warning in answer.warnings]
    lines.append(f"  model {answer.model}, licence {answer.model_licence}; {answer.attribution}")
    return lines


def _info(arguments: argparse.Namespace) -> int:
    from indexer.index import find_index, read_manifest
    from indexer.storage import index_names, read_current

    if arguments.index is None and len(index_names(Path(arguments.indexes))) != 1:
        names = index_names(Path(arguments.indexes))
        if arguments.json:
            print(json.dumps(names))
        else:
            print("\n".join(names) if names else f"no index in {arguments.indexes!r}")
        return 0
    folder = find_index(arguments.index, arguments.indexes)
    build, digest = read_current(folder)
    manifest = read_manifest(folder / build, digest)
    if arguments.json:
        print(manifest.to_json().decode())
    else:
        print("\n".join(manifest_lines(manifest)))
    return 0


def manifest_lines(manifest: Manifest) -> list[str]:
    """A manifest as lines for a terminal."""
    m = manifest
    size_mb = sum(f.size_bytes for f in m.files.values()) / 1e6
    dates = sorted({str(when)[:10] for scene in m.imagery["scenes"] for when in scene["dates"]})
    return [
        f"index {m.name}, build {m.build} of {m.created_utc}, {size_mb:,.1f} MB",
        f"  region   {m.region['name']}, {m.region['area_km2']:,.1f} km2 {m.region['attribution']}",
        f"  cells    {m.cells_indexed:,} of {m.cells_in_region:,} at H3 {m.h3_resolution}",
        f"  model    {m.model.name} ({m.model.source}), licence {m.model.licence}, "
        f"{'trained' if m.model.trained else 'UNTRAINED'}, {m.model.fingerprint[:12]}",
        f"  imagery  {len(m.imagery['scenes'])} scenes, {', '.join(dates) or 'dates unknown'}; "
        f"{m.imagery['attribution']}",
        f"  vectors  {m.vectors['rs']['dim']} dimensions; {m.metric}",
        *[f"  note     {warning}" for warning in m.warnings],
    ]


def _device(wanted: str) -> str:
    """The one place that decides where a command computes."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted).tolist()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"cannot compute on --device {wanted!r} here: leave it out, or pass cpu"
        ) from error
    return wanted


def _peak_memory_gb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _findable(model: str) -> str:
    """A model's source as it can be found from any folder."""
    return str(Path(model).resolve()) if Path(model).exists() else model


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
