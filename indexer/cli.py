"""The command line: ``python -m indexer build | search | info``.

Parsing needs nothing heavy, so ``--help`` answers at once; torch, FAISS and rasterio are imported
by the command that needs them.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.errors import GairError, PhotoError

if TYPE_CHECKING:
    from indexer.answer import Answer
    from indexer.manifest import Manifest
    from indexer.regions import Region

INTERRUPTED = 130

_EPILOG = """\
examples:
  # index Greater London from a folder of Sentinel-2 files, with the released weights
  python -m indexer build --region london --imagery sentinel2/ --model PingL/GAIR

  # index everything a scene shows, with random weights, to try the machinery
  python -m indexer build --imagery scene.tif --model untrained:tiny --name trial

  # where was it?
  python -m indexer search photo.jpg --index london -k 5
  python -m indexer search *.jpg --index london --json > answers.json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    arguments = _parser().parse_args(argv)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        status: int = arguments.run(arguments)
        return status
    except GairError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted: nothing was changed", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    finally:
        signal.signal(signal.SIGTERM, previous)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _build(arguments: argparse.Namespace) -> int:
    from gair.bands import parse_bands
    from indexer.imagery import open_imagery

    bands = parse_bands(arguments.bands) if arguments.bands else None
    region = _region(arguments)
    imagery_path = Path(arguments.imagery)
    with open_imagery(
        imagery_path, bands=bands, dn_offset=arguments.dn_offset, dn_scale=arguments.dn_scale
    ) as imagery:
        if region is None:
            region = _whole(imagery_path.stem, imagery.coverage)
        _say(f"region {region.name}: {region.area_km2:,.1f} km2")
        from gair.model import Gair
        from indexer.build import BuildOptions, build_index

        model = Gair.from_pretrained(arguments.model).to(_device(arguments.device))
        report = build_index(
            arguments.name or region.name,
            region,
            imagery,
            model,
            arguments.out,
            options=BuildOptions(
                resolution=arguments.resolution,
                query_mode=arguments.rs_query,
                quiet=arguments.quiet,
            ),
            model_source=arguments.model,
        )
    print("\n".join(report.summary))
    print(f"  peak memory: {_peak_memory_gb():.2f} GB")
    print("  time: " + ", ".join(f"{k} {v:.1f} s" for k, v in report.manifest.seconds.items()))
    return 0


def _region(arguments: argparse.Namespace) -> Region | None:
    from indexer.regions import named_region, parse_bbox, region_from_bbox, region_from_geojson

    name = arguments.name
    if arguments.region:
        return named_region(arguments.region)
    if arguments.bbox:
        return region_from_bbox(parse_bbox(arguments.bbox), name=name or "bbox")
    if arguments.polygon:
        return region_from_geojson(arguments.polygon, name=name)
    return None


def _whole(name: str, coverage: Any) -> Region:  # noqa: ANN401
    from indexer.regions import Region

    return Region(name=name, geometry=coverage, attribution="")


def _search(arguments: argparse.Namespace) -> int:
    from gair.photos import open_photo
    from indexer.geolocate import Geolocator

    geolocator = Geolocator.open(
        arguments.index, indexes_dir=arguments.indexes, model=arguments.model
    )
    results: list[Answer | PhotoError] = []
    photos, positions = [], []
    for path in arguments.photo:
        try:
            photos.append(open_photo(path))
            positions.append(len(results))
            results.append(PhotoError("not searched"))  # replaced below
        except PhotoError as error:
            results.append(error)
    answers = geolocator.search(
        photos,
        k=arguments.k,
        rs_weight=arguments.rs_weight,
        location_weight=arguments.location_weight,
    )
    for position, answer in zip(positions, answers, strict=True):
        results[position] = answer
    failed = [result for result in results if isinstance(result, PhotoError)]
    if arguments.json:
        print(json.dumps([_as_json(r, p) for r, p in zip(results, arguments.photo, strict=True)]))
    else:
        for result in results:
            if not isinstance(result, PhotoError):
                print("\n".join(answer_lines(result)))
    for failure in failed:
        print(f"error: {failure}", file=sys.stderr)
    if failed and len(results) > 1:
        print(f"{len(failed)} of {len(results)} photos could not be read", file=sys.stderr)
    return 1 if failed else 0


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
    dates = sorted({str(d) for s in m.imagery["scenes"] for d in s.get("dates", []) if d})
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

    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def _peak_memory_gb() -> float:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m indexer",
        description="Index a region from Sentinel-2 imagery with GAIR, and ask the index where a "
        "photo was taken.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_build(commands)
    _add_search(commands)
    _add_info(commands)
    return parser


def _add_build(commands: Any) -> None:  # noqa: ANN401
    build = commands.add_parser(
        "build",
        help="index a region",
        description="Index a region: cells, one vector of imagery and one of location for each. "
        "Without --region, --bbox or --polygon everything the imagery shows is indexed.",
    )
    build.set_defaults(run=_build)
    where = build.add_mutually_exclusive_group()
    where.add_argument("--region", metavar="NAME", help="a region that ships with us: london")
    where.add_argument("--bbox", metavar="W,S,E,N", help="degrees, for example -0.2,51.4,0.1,51.6")
    where.add_argument("--polygon", metavar="FILE", help="a GeoJSON file, longitude and latitude")
    build.add_argument(
        "--imagery",
        required=True,
        metavar="PATH",
        help="a Sentinel-2 file or a folder of them: GeoTIFF, COG or JP2, any CRS, ten bands "
        "(B2 B3 B4 B5 B6 B7 B8 B8A B11 B12) found by name",
    )
    build.add_argument(
        "--bands",
        metavar="LIST",
        help="names of the bands in files that do not name them: gair-10, l2a-12, l1c-13, or "
        "B2,B3,...",
    )
    build.add_argument(
        "--dn-scale",
        type=float,
        default=1.0,
        metavar="X",
        help="multiply pixels by this to get reflectance x 10000 (10000 for reflectance in 0..1)",
    )
    build.add_argument(
        "--dn-offset",
        type=float,
        default=0.0,
        metavar="X",
        help="then add this (-1000 for ESA products of baseline 04.00 and later)",
    )
    build.add_argument(
        "--model",
        default="PingL/GAIR",
        metavar="MODEL",
        help="a folder, a release checkpoint file, a Hugging Face id, or untrained:base|tiny "
        "(default: %(default)s)",
    )
    build.add_argument(
        "--resolution",
        type=int,
        default=10,
        metavar="R",
        help="H3 resolution: 9 is cells of about 350 m, 10 of 130 m, 11 of 50 m "
        "(default: %(default)s)",
    )
    build.add_argument(
        "--rs-query",
        choices=("nili", "bilinear", "bicubic", "mean"),
        default="nili",
        help="how a frame is read at a cell; all but nili are baselines (default: %(default)s)",
    )
    build.add_argument("--name", metavar="NAME", help="name of the index (default: the region's)")
    build.add_argument(
        "--out", default="indexes", metavar="DIR", help="folder of all indexes (default: indexes)"
    )
    build.add_argument("--device", default="auto", help="cpu, cuda, ... (default: the best)")
    build.add_argument("--quiet", action="store_true", help="no progress")


def _add_search(commands: Any) -> None:  # noqa: ANN401
    search = commands.add_parser(
        "search",
        help="ask where photos were taken",
        description="Rank the places of an index for each photo. GPS tags are never used.",
    )
    search.set_defaults(run=_search)
    search.add_argument("photo", nargs="+", metavar="PHOTO", help="a street-level photo")
    _add_index_choice(search)
    search.add_argument("-k", type=int, default=5, help="places a photo (default: %(default)s)")
    search.add_argument(
        "--rs-weight", type=float, default=0.5, metavar="W", help="weight of the imagery"
    )
    search.add_argument(
        "--location-weight", type=float, default=0.5, metavar="W", help="weight of the location"
    )
    search.add_argument("--model", metavar="MODEL", help="where the index's model is now")
    search.add_argument("--json", action="store_true", help="print JSON, one object a photo")


def _add_info(commands: Any) -> None:  # noqa: ANN401
    info = commands.add_parser(
        "info",
        help="show what an index is made of",
        description="Show an index's model, imagery, cells and warnings; without --index, list "
        "the indexes.",
    )
    info.set_defaults(run=_info)
    _add_index_choice(info)
    info.add_argument("--json", action="store_true", help="print the whole manifest")


def _add_index_choice(parser: Any) -> None:  # noqa: ANN401
    parser.add_argument(
        "--index", metavar="NAME", help="name or folder (default: the only one there is)"
    )
    parser.add_argument("--indexes", default="indexes", metavar="DIR", help="folder of all indexes")
