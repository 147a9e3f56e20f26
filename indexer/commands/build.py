"""``python -m indexer build``: index a region."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gair.command import INTERRUPTED
from gair.errors import GairError, UnfinishedError, UsageError
from indexer.commands.arguments import add_index_type
from indexer.commands.imagery_choice import add_imagery_choice, opened_imagery
from indexer.commands.region_choice import add_region_choice, chosen_region

if TYPE_CHECKING:
    from gair.model import Gair
    from indexer.build.build import BuildReport
    from indexer.build.engine import Engine
    from indexer.imagery.source import ImagerySource
    from indexer.regions.region import Region


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the command."""
    build = commands.add_parser(
        "build",
        help="index a region",
        description="Index a region: cells, one vector of imagery and one of location for each. "
        "Without --region, --bbox, --polygon or --place everything the imagery shows is indexed.",
    )
    build.set_defaults(run=run)
    add_flags(build, "PingL/GAIR")
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
    build.add_argument(
        "--no-token-maps",
        action="store_true",
        help="do not keep the frames' token maps: a smaller index, and no answers between cells",
    )
    add_index_type(build)
    build.add_argument("--name", metavar="NAME", help="name of the index (default: the region's)")
    build.add_argument(
        "--out", default="indexes", metavar="DIR", help="folder of all indexes (default: indexes)"
    )


def add_flags(build: Any, model: str | None) -> None:  # noqa: ANN401
    """The flags that say what to build from; ``add`` has them, too, and its index's ``model``."""
    add_region_choice(build)
    add_imagery_choice(build)
    build.add_argument(
        "--model",
        default=model,
        metavar="MODEL",
        help="a folder, a release checkpoint file, a Hugging Face id, shipped:demo, or "
        f"untrained:base|tiny (default: {model or 'where the index has it from'})",
    )
    build.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="type that the imagery encoder computes in; auto takes bfloat16 where this CPU "
        "multiplies in it and the model gains (default: %(default)s)",
    )
    build.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads that torch computes with, in each worker of --engine ray (default: all)",
    )
    build.add_argument(
        "--engine",
        default="local",
        metavar="ENGINE",
        help="who computes: local is this process, ray a Ray cluster of this machine's own, "
        "ray:ADDRESS a running one that sees the same folders (default: %(default)s)",
    )
    build.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="workers of --engine ray (default: as many as it has room for)",
    )
    build.add_argument(
        "--force",
        action="store_true",
        help="start over: forget what interrupted builds of this index have done",
    )
    build.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="stop after N new units, with exit status 3; the same command goes on from there",
    )
    build.add_argument(
        "--unit-frames",
        type=int,
        default=100,
        metavar="N",
        help="about the most frames of a unit, the piece that is lost when a build is killed "
        "(default: %(default)s)",
    )
    build.add_argument(
        "--keep-units",
        action="store_true",
        help="leave the units, GeoParquet files of vectors, in .work-* beside the index",
    )
    build.add_argument("--device", default="auto", help="cpu, cuda, ... (default: the best)")
    build.add_argument(
        "--dry-run",
        action="store_true",
        help="say how many cells, frames, bytes and minutes it would be, and stop",
    )
    build.add_argument("--quiet", action="store_true", help="no progress")


def run(arguments: argparse.Namespace) -> int:
    """Build an index and say what was made."""
    from indexer.index.storage import check_name

    region = chosen_region(arguments)
    with opened_imagery(arguments, region) as (imagery, reopen):
        engine = _engine(arguments, reopen)
        if region is None:
            region = _whole(Path(arguments.imagery).stem, imagery.coverage)
        name = check_name(region.name if arguments.name is None else arguments.name)
        from indexer.build.build import BuildOptions, build_index

        model = _model(arguments).to(_device(arguments.device))
        if arguments.dry_run or not arguments.quiet:
            lines = _estimate(arguments, region, imagery, model)
            if arguments.dry_run:
                print("\n".join(lines))
                return 0
            _say("\n".join(lines))
        options = BuildOptions(
            resolution=arguments.resolution,
            query_mode=arguments.rs_query,
            keep_token_maps=not arguments.no_token_maps,
            precision=arguments.precision,
            threads=arguments.threads,
            force=arguments.force,
            limit=arguments.limit,
            keep_units=arguments.keep_units,
            index_type=arguments.index_type,
            frames_a_unit=arguments.unit_frames,
            quiet=arguments.quiet,
        )
        source = _findable(arguments.model)
        try:
            report = build_index(
                name,
                region,
                imagery,
                model,
                arguments.out,
                options=options,
                model_source=source,
                engine=engine,
            )
        except (GairError, KeyboardInterrupt) as error:
            return _ended_early(error)
    _report(report)
    return 0


def _engine(arguments: argparse.Namespace, reopen: Callable[[], ImagerySource]) -> Engine | None:
    """The engine that was asked for; ``reopen`` opens the imagery in its workers."""
    kind, _, address = arguments.engine.partition(":")
    if arguments.engine not in ("local", "ray") and not (kind == "ray" and address):
        raise UsageError(f"--engine {arguments.engine!r} is none: choose local, ray or ray:ADDRESS")
    if arguments.workers is not None and (arguments.workers < 1 or kind != "ray"):
        raise UsageError(
            f"--workers {arguments.workers} needs --engine ray and 1 or more: leave it out"
        )
    if kind == "local":
        return None
    from indexer.build.ray_engine import RayEngine, import_ray

    import_ray()
    return RayEngine(reopen, address=address or None, workers=arguments.workers)


def _ended_early(error: GairError | KeyboardInterrupt) -> int:
    """Say what of a build stays, and how to go on; returns the exit status or passes it on."""
    kept = "; ".join(getattr(error, "__notes__", ()))
    if isinstance(error, UnfinishedError):
        _say(f"{error}: {kept}")
        return error.exit_status
    if isinstance(error, KeyboardInterrupt) and kept:
        _say(f"interrupted: the index was not changed; {kept}")
        return INTERRUPTED
    if kept:
        _say(kept)
    raise error


def _report(report: BuildReport) -> None:
    print("\n".join(report.summary))
    if (peak_gb := _peak_memory_gb()) is not None:
        print(f"  peak memory: {peak_gb:.2f} GB")
    print("  time: " + ", ".join(f"{k} {v:.1f} s" for k, v in report.manifest.seconds.items()))


def _model(arguments: argparse.Namespace) -> Gair:
    """The model; to time the released one its architecture is enough, and nothing is downloaded."""
    from gair.checkpoints.release import RELEASE_ID
    from gair.model import Gair

    if arguments.dry_run and arguments.model == RELEASE_ID:
        return Gair.untrained("base")
    return Gair.from_pretrained(arguments.model)


def _estimate(
    arguments: argparse.Namespace, region: Region, imagery: ImagerySource, model: Gair
) -> list[str]:
    from indexer.build.estimate import estimate

    return estimate(
        region,
        imagery,
        model,
        resolution=arguments.resolution,
        keep_token_maps=not arguments.no_token_maps,
        precision=arguments.precision,
    ).lines


def _whole(name: str, coverage: Any) -> Region:  # noqa: ANN401
    from indexer.regions.region import Region

    return Region(name=name, geometry=coverage, attribution="")


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
