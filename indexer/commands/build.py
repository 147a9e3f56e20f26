"""Commands that make indexes: ``build`` from imagery, ``add`` a district, ``merge`` several."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gair.command import add_command
from gair.errors import GairError, UnfinishedError, UsageError
from gair.fields import option
from gair.interrupts import INTERRUPTED
from gair.progress import peak_memory_gb, say
from indexer.build.options import BuildOptions
from indexer.commands.arguments import Indexes, IndexTypeChoice, torch_device
from indexer.commands.source import ImageryChoice, RegionChoice
from indexer.index.default_folder import folder_of_indexes

if TYPE_CHECKING:
    from gair.config import QueryMode
    from gair.model import Gair
    from indexer.build.build import BuildReport
    from indexer.build.engine import Engine
    from indexer.imagery.source import ImagerySource

_DISTRICT = "district"
_MERGE_EPILOG = """\
examples:
  python -m indexer merge north south --into city
  # the same cells, searched another way
  python -m indexer merge country --into country --index-type ivf-sq8
"""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What to build from, and who computes."""

    area: RegionChoice = RegionChoice()
    pixels: ImageryChoice = option(factory=ImageryChoice)
    model: str | None = option(metavar="MODEL")
    engine: str = option("local", metavar="ENGINE")
    """Who computes: local is this process, ray a Ray cluster of this machine's own, ray:ADDRESS a
    running one that sees the same folders."""
    workers: int | None = None
    """Workers of --engine ray (default: as many as it has room for)."""
    device: str = option("auto", metavar="DEVICE")
    """Where torch computes: cpu, cuda, ... (default: the best)."""
    dry_run: bool = False
    """Say how many cells, frames, bytes and minutes it would be, and stop."""
    build: BuildOptions = BuildOptions()

    def __post_init__(self) -> None:
        kind, _, address = self.engine.partition(":")
        if self.engine not in ("local", "ray") and not (kind == "ray" and address):
            raise UsageError(f"--engine {self.engine!r} is none: choose local, ray or ray:ADDRESS")
        if self.workers is not None and (self.workers < 1 or kind != "ray"):
            raise UsageError(
                f"--workers {self.workers} needs --engine ray and 1 or more: leave it out"
            )

    def engine_of(self, reopen: Callable[[], ImagerySource]) -> Engine | None:
        """The engine; ``reopen`` opens the imagery in its workers. None for this process."""
        kind, _, address = self.engine.partition(":")
        if kind == "local":
            return None
        from indexer.build.ray_engine import RayEngine, import_ray

        import_ray()
        return RayEngine(reopen, address=address or None, workers=self.workers)


_MODELS = "a folder, a release checkpoint file, a Hugging Face id, shipped:demo, or "
_MODELS += "untrained:base|tiny"


@dataclass(frozen=True, kw_only=True)
class Build(Source):
    """Flags of ``build``."""

    model: str = option("PingL/GAIR", metavar="MODEL", help=_MODELS)
    name: str | None = option(None, metavar="NAME")
    """Name of the index (default: the region's)."""
    out: str = option(factory=lambda: str(folder_of_indexes()), metavar="DIR")
    """Folder of all indexes; GAIR_INDEXES in the environment names another default."""


@dataclass(frozen=True, kw_only=True)
class Add(Indexes, IndexTypeChoice, Source):
    """Flags of ``add``."""

    index: str = option(positional=True, metavar="INDEX")
    """Name of the index that grows."""
    model: str | None = option(
        None, metavar="MODEL", help=f"{_MODELS} (default: where the index has it from)"
    )
    build: BuildOptions = option(
        BuildOptions(), leave_out=("resolution", "query_mode", "keep_token_maps")
    )


@dataclass(frozen=True, kw_only=True)
class Merge(Indexes, IndexTypeChoice):
    """Flags of ``merge``."""

    parts: tuple[str, ...] = option(positional=True, metavar="INDEX")
    """Name or folder of an index."""
    into: str = option(metavar="NAME")
    """Name of the merged index."""
    reference_photos: bool = True
    """Leave out the reference photos of the parts; private ones of other indexes always are."""
    quiet: bool = False
    """No progress."""


def add(commands: Any) -> None:  # noqa: ANN401
    """Add the commands."""
    add_command(
        commands,
        "build",
        Build,
        run,
        help="index a region",
        description="Index a region: cells, one vector of imagery and one of location for each. "
        "Without --region, --bbox, --polygon or --place everything that files of --imagery show is "
        "indexed; without --imagery, the imagery is a catalogue's.",
    )
    add_command(
        commands,
        "add",
        Add,
        run_add,
        help="add a district to an index",
        description="Build a further region as the index was built, and merge both into a new "
        "build of the index. The index serves as it is until then. Its calibration is not carried "
        "over.",
    )
    add_command(
        commands,
        "merge",
        Merge,
        run_merge,
        help="put indexes together",
        description="Make a new build of --into from indexes of the same model, H3 resolution and "
        "way to read frames; their --precision may differ, and is told. Cells that several have "
        "are taken from the first. A calibration is not carried over.",
        epilog=_MERGE_EPILOG,
    )


def run(options: Build) -> int:
    """Build an index and say what was made."""
    from indexer.index.storage import check_name
    from indexer.regions.region import Region

    quiet = options.build.quiet
    region = options.area.chosen(options.name)
    if region is not None and not quiet and (catalogue := options.pixels.catalogue_said):
        say(f"imagery from {catalogue}; model {options.model}")
    with options.pixels.opened(region, quiet=quiet or options.dry_run) as (imagery, reopen):
        engine = options.engine_of(reopen)
        if region is None:
            region = Region(Path(options.pixels.imagery).stem, imagery.coverage, attribution="")
        name = check_name(region.name if options.name is None else options.name)
        from indexer.build.build import build_index
        from indexer.build.plan import estimate

        model = _model(options).to(torch_device(options.device))
        # As it can be opened from any folder.
        file = Path(options.model)
        model_source = str(file.resolve()) if file.exists() else options.model
        if options.dry_run or not quiet:
            lines = estimate(
                region,
                imagery,
                model,
                resolution=options.build.resolution,
                keep_token_maps=options.build.keep_token_maps,
                precision=options.build.precision,
            ).lines
            if options.dry_run:
                print("\n".join(lines))
                return 0
            say("\n".join(lines))
        try:
            report = build_index(
                name,
                region,
                imagery,
                model,
                options.out,
                options=options.build,
                model_source=model_source,
                engine=engine,
            )
        except (GairError, KeyboardInterrupt) as error:
            return _ended_early(error)
    _report(report)
    return 0


def run_add(options: Add) -> int:
    """Build the district, merge it, and say what was made."""
    from indexer.index.index import find_index, read_manifest
    from indexer.index.storage import read_current
    from indexer.merge.merge import merge_indexes

    folder = find_index(options.index, options.indexes_dir)
    name, digest = read_current(folder)
    manifest = read_manifest(folder / name, digest)
    work = folder.parent / f".adding-{folder.name}"  # the same again, so that a build can go on
    source = {field.name: getattr(options, field.name) for field in dataclasses.fields(Source)}
    source["model"] = options.model or manifest.model.source
    source["build"] = dataclasses.replace(
        options.build,
        resolution=manifest.h3_resolution,
        query_mode=cast("QueryMode", manifest.query_mode),
        keep_token_maps=manifest.tokens is not None,
        index_type="flat",
    )
    status = run(Build(**source, name=_DISTRICT, out=str(work)))
    if status or options.dry_run:
        return status
    report = merge_indexes(
        [folder, work / _DISTRICT],
        folder.name,
        folder.parent,
        index_type=options.index_type,
        quiet=options.build.quiet,
    )
    shutil.rmtree(work, ignore_errors=True)
    print("\n".join(report.summary))
    return 0


def run_merge(options: Merge) -> int:
    """Merge, and say what was made."""
    from indexer.index.index import find_index
    from indexer.merge.merge import merge_indexes

    report = merge_indexes(
        [find_index(part, options.indexes_dir) for part in options.parts],
        options.into,
        options.indexes_dir,
        index_type=options.index_type,
        reference_photos=options.reference_photos,
        quiet=options.quiet,
    )
    print("\n".join(report.summary))
    return 0


def _ended_early(error: GairError | KeyboardInterrupt) -> int:
    """Say what of a build stays, and how to go on; returns the exit status or passes it on."""
    kept = "; ".join(getattr(error, "__notes__", ()))
    if isinstance(error, UnfinishedError):
        say(f"{error}: {kept}")
        return error.exit_status
    if isinstance(error, KeyboardInterrupt) and kept:
        say(f"interrupted: the index was not changed; {kept}")
        return INTERRUPTED
    if kept:  # one line says both
        error.args = (f"{error}; {kept}",)
    raise error


def _report(report: BuildReport) -> None:
    print("\n".join(report.summary))
    if (peak_gb := peak_memory_gb()) is not None:
        print(f"  peak memory: {peak_gb:.2f} GB")
    print("  time: " + ", ".join(f"{k} {v:.1f} s" for k, v in report.manifest.seconds.items()))


def _model(options: Build) -> Gair:
    """The model; to time the released one its architecture is enough, and nothing is downloaded."""
    from gair.checkpoints.release import RELEASE_ID
    from gair.model import Gair

    if options.dry_run and options.model == RELEASE_ID:
        return Gair.untrained("base")
    return Gair.from_pretrained(options.model)
