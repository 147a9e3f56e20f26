"""Command line: ``python -m gair check | convert | push | export-onnx``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gair.command import HelpFormatter, Parser, add_command, run_parsed
from gair.fields import option

if TYPE_CHECKING:
    from gair.model import Gair

_EPILOG = """\
examples:
  # are these the released weights, converted right?
  python -m gair check PingL/GAIR --pairs gair_pairs/

  # and is its location encoder the one of a published benchmark?
  python -m gair check PingL/GAIR --coordbench row/transfer.json

  # turn the release's checkpoint into a folder of safetensors, config and card
  python -m gair convert checkpoint.pth models/gair

  # half the size; vectors differ in the fourth decimal
  python -m gair convert runs/mine/best models/mine --half

  # steadier answers of a model that is there: places within 200 m count as one
  python -m gair convert runs/mine/best models/mine --rs-blur 0.6 --sv-mirrored

  # share it
  python -m gair push runs/mine/best OWNER/NAME

  # both image towers for runtimes without torch
  python -m gair export-onnx shipped:demo onnx/demo

  # the same where python -m indexer search --runtime onnx looks for them
  python -m gair export-onnx shipped:demo
"""


_AVERAGED_SINCE = """\
The averages that the architecture names at the top were chosen after the training: what is measured
in this section is of the model without them."""


_MODEL = "a folder, a release checkpoint file, a Hugging Face id, or shipped:demo"


@dataclass(frozen=True, kw_only=True)
class _Model:
    model: str = option(positional=True, metavar="model", help=_MODEL)
    allow_unknown: bool = False
    """Load a checkpoint although it has tensors nobody knows."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub; HF_TOKEN says who asks, HF_HOME where downloads
    are kept."""

    def loaded(self) -> Gair:
        """The model."""
        from gair.model import Gair

        return Gair.from_pretrained(
            self.model, allow_unknown=self.allow_unknown, revision=self.revision
        )


@dataclass(frozen=True, kw_only=True)
class _Check(_Model):
    pairs: Path = option(Path("gair_pairs"), metavar="DIR")
    """Folder with pairs.csv and the chips and photos it names."""
    coordbench: Path | None = option(None, metavar="FILE")
    """transfer.json of training.finetune --task coordbench with this model and --seeds 5: compare
    that row with the published one, too. The pairs are left out where the folder is not there."""


@dataclass(frozen=True, kw_only=True)
class _Convert(_Model):
    folder: Path = option(positional=True, metavar="folder")
    """Where the model goes."""
    half: bool = False
    """Store weights as float16, half the size; they are loaded as float32."""
    rs_blur: float | None = option(None, metavar="TOKENS")
    """Let the model average its token maps with a Gaussian of this standard deviation (default: as
    the model does); 0: not."""
    sv_mirrored: bool = False
    """Let it average what it says of a photo and of its mirror image, at twice the time."""
    sv_image_px: int | None = option(None, metavar="N")
    """Squeeze photos to this side, pixels (default: as the model does). Convolutions without
    blocks see photos of any size; how well, only training at that size can tell."""


@dataclass(frozen=True, kw_only=True)
class _Push(_Model):
    hub_id: str = option(positional=True, metavar="OWNER/NAME")
    """The repository, made if it is not there."""
    private: bool = False
    """Make it a private one, if it is made."""
    half: bool = False
    """Store weights as float16."""


@dataclass(frozen=True, kw_only=True)
class _Onnx(_Model):
    folder: str | None = option(None, positional=True, metavar="folder")
    """Where the files go (default: where search --runtime onnx looks, a folder of the model's
    fingerprint in GAIR_ONNX or the user's cache)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0, 1 for a failure, 2 for wrong usage)."""
    parser = Parser(
        prog="python -m gair",
        description="Check and convert GAIR models.",
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_command(
        commands,
        "check",
        _Check,
        _check,
        help="compare a model with scores that were published of it",
        description="Compare a model with nine published cosines between the three example chips "
        "and photos of github.com/zpl99/GAIR, with and without the final norm, and its location "
        "encoder with a published row of CoordBench. Exits 0 if it reproduces what was compared.",
    )
    add_command(
        commands,
        "convert",
        _Convert,
        _convert,
        help="save a model as a folder",
        description="Convert any model that can be loaded to safetensors, config and card. What "
        "a folder says of its training goes along: the end of its card, and training.json.",
    )
    add_command(
        commands,
        "push",
        _Push,
        _push,
        help="push a model to the Hugging Face hub",
        description="Push safetensors, config and card to the Hugging Face hub as one commit. "
        "HF_TOKEN or hf auth login says who pushes.",
    )
    add_command(
        commands,
        "export-onnx",
        _Onnx,
        _export_onnx,
        help="write both image towers as ONNX",
        description="Write the street-view and the remote-sensing tower as ONNX, for runtimes "
        "without torch (extra onnx). The licence is that of the weights.",
    )
    return run_parsed(parser, argv, interrupted="interrupted")


def _check(options: _Check) -> int:
    from gair.check.coordbench import compare_row
    from gair.check.pairs import compare, comparison_lines, load_pairs

    pairs = None
    if options.coordbench is None or options.pairs.is_dir():
        pairs = load_pairs(options.pairs)
    model = options.loaded()
    row = None
    if options.coordbench is not None:
        row = compare_row(options.coordbench, model.fingerprint())
    print(f"model {model.info.name}, licence {model.info.licence}")
    reproduced = []
    if pairs is not None:
        comparisons = compare(model, pairs)
        print("\n".join(comparison_lines(comparisons)))
        reproduced.append(any(c.reproduces for c in comparisons))
    else:
        print(f"pairs not compared: no folder {options.pairs}")
    if row is not None:
        print("\n".join(row.lines()))
        reproduced.append(row.reproduces)
    return 0 if all(reproduced) else 1


def _convert(options: _Convert) -> int:
    model = convert(
        options.model,
        options.folder,
        half=options.half,
        allow_unknown=options.allow_unknown,
        revision=options.revision,
        rs_blur=options.rs_blur,
        sv_mirrored=options.sv_mirrored,
        sv_image_px=options.sv_image_px,
    )
    print(f"{options.folder}: {model.info.name}, licence {model.info.licence}")
    return 0


def _push(options: _Push) -> int:
    import tempfile

    from gair.checkpoints.hub import push_folder

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = convert(
            options.model,
            folder,
            half=options.half,
            allow_unknown=options.allow_unknown,
            revision=options.revision,
        )
        said = f"{model.info.name}, licence {model.info.licence}"
        address = push_folder(folder, options.hub_id, private=options.private, message=said)
    print(f"{address}: {said}")
    return 0


def _export_onnx(options: _Onnx) -> int:
    from gair.onnx.export import export_onnx
    from gair.onnx.street_view import onnx_folder

    model = options.loaded()
    for file in export_onnx(model, options.folder or onnx_folder(model.fingerprint())):
        print(f"{file}: {file.stat().st_size:,} bytes")
    print(f"{model.info.name}, licence {model.info.licence}")
    return 0


def convert(
    source: str,
    folder: Path,
    *,
    half: bool = False,
    allow_unknown: bool = False,
    revision: str | None = None,
    rs_blur: float | None = None,
    sv_mirrored: bool = False,
    sv_image_px: int | None = None,
) -> Gair:
    """Load a model and save it as a folder; returns it.

    ``rs_blur``, ``sv_mirrored`` and ``sv_image_px`` are fields of its configuration that need no
    other weights; not given, they stay as they are. What a folder says of the training of its
    weights goes along: the end of its card, and ``training.json``.
    """
    from gair.checkpoints.card import sections_of
    from gair.checkpoints.checkpoint import CARD_FILE, FACTS_FILE, SHIPPED, shipped_folder
    from gair.errors import UsageError
    from gair.files import write_whole
    from gair.model import Gair

    model = Gair.from_pretrained(source, allow_unknown=allow_unknown, revision=revision)
    own = model.config
    config = dataclasses.replace(
        own,
        rs_blur=own.rs_blur if rs_blur is None else rs_blur,
        sv_mirrored=own.sv_mirrored or sv_mirrored,
        sv_image_px=own.sv_image_px if sv_image_px is None else sv_image_px,
    )
    if config.sv_image_px != own.sv_image_px and (own.stem != "conv" or own.sv_depth):
        raise UsageError(
            f"--sv-image-px {sv_image_px}: {source} has position embeddings for photos of "
            f"{own.sv_image_px} pixels; only convolutions without blocks see other sizes"
        )
    if config != own:
        model = model.reconfigured(config)
    home = shipped_folder(source) if source.startswith(SHIPPED) else Path(source)
    card, facts = (_content(home / name) for name in (CARD_FILE, FACTS_FILE))
    about = sections_of(card.decode(errors="replace"))
    if about and config != own:
        about = f"{about.rstrip()}\n\n{_AVERAGED_SINCE}\n"
    target = model.save_pretrained(folder, half=half, about=about)
    if facts:
        write_whole(target / FACTS_FILE, facts)
    return model


def _content(file: Path) -> bytes:
    """Of a file beside a saved model; nothing if it is not there, or if no such model is."""
    from gair.checkpoints.checkpoint import CONFIG_FILE

    ours = file.with_name(CONFIG_FILE).is_file() and file.is_file()
    return file.read_bytes() if ours else b""
