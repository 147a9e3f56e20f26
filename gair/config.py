"""Shape of a GAIR model, and presets of it.

Sources: the paper (Liu et al., arXiv 2503.16683, ISPRS JPRS 237:166-182) and the tensor shapes of
the released checkpoint (https://huggingface.co/PingL/GAIR, ``checkpoint.pth``).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from gair.bands import GAIR_BANDS, LAYOUTS
from gair.errors import ModelError
from gair.inputs.field_checks import LINE, Length, Range, check_fields, shown, tuples_of_lists

Stem = Literal["patch", "conv"]
"""How the image towers begin: by patches, as the release does, or by convolutions."""

QueryMode = Literal["nili", "bilinear", "bicubic", "mean"]
"""How a token map is read at a place: by NILI, or by one of the baselines beside it."""

WORLD_MERCATOR_M = 2 * math.pi * 6378137
"""Width of the world in EPSG:3857, whose sphere has WGS 84's semi-major axis as radius, metres."""
ZOOM_14_TILE_M = WORLD_MERCATOR_M / 2**14
"""Side of a zoom-14 map tile, Web-Mercator metres: the width of the world halved 14 times."""


Width = Annotated[int, Range(1, 16_384)]
"""Of vectors, tokens and layers: the widest published vision transformers have 6,144."""
Depth = Annotated[int, Range(0, 128)]
"""Blocks or layers one after another."""
Heads = Annotated[int, Range(1, 256)]
Side = Annotated[int, Range(1, 4096)]
"""Of pictures and patches, pixels."""
Stages = Annotated[tuple[Width, ...], Length(0, 12)]
"""Widths of a tower's stages; each halves the sides."""
Residuals = Annotated[tuple[Depth, ...], Length(0, 12)]

MOST_BIASES = 1 << 26
"""Biases of the remote-sensing attention that are computed before any weight is read: 256 MB."""


@dataclass(frozen=True)
class GairConfig:
    """Sizes of the three encoders and of the space they meet in; the defaults are the release."""

    dim: Width = 768
    """Width D of the shared space and of the remote-sensing tokens (paper, section 4.1)."""

    stem: Stem = "patch"
    """How the image towers begin. ``patch`` is the release: a linear layer on patches. ``conv``
    needs fewer pictures: convolutions make the tokens, and the depths below may be 0."""
    sv_channels: Stages = ()
    """Widths of the street-view stages with a conv stem: 4 px patches, then halved by each."""
    sv_residuals: Residuals = ()
    """Residual convolutions at the end of each of them."""
    rs_channels: Stages = ()
    """Widths of the remote-sensing stages with a conv stem; each halves the sides."""
    rs_residuals: Residuals = ()
    """Residual convolutions at the end of each of them."""
    sv_hidden: Annotated[int, Range(0, 16_384)] = 0
    """Hidden units of a second way from a photo's strips to its embedding, with a conv stem; 0:
    none (:mod:`gair.encoders.readers`)."""
    rs_windows: Annotated[tuple[Annotated[int, Range(1, 63)], ...], Length(0, 8)] = ()
    """Sides of the windows around each token, tokens, in which the bands' mean, spread and contrast
    are read, with a conv stem; odd."""
    rs_hidden: Annotated[int, Range(0, 16_384)] = 0
    """Hidden units of the layer that adds them to the tokens; 0: none is read."""
    sv_mirrored: bool = False
    """Whether *s* is the mean of what the tower says of a photo and of its mirror image: steadier,
    at twice the tower's time."""
    rs_blur: Annotated[float, Range(0, 8)] = 0.0
    """Standard deviation, tokens, of the Gaussian that a token map is averaged with at the end; 0:
    not averaged. It makes *z* steadier and less exact between near places."""

    sv_image_px: Side = 224
    """Side of the street-view input (checkpoint: 197 positions = 14 x 14 patches + CLS)."""
    sv_patch_px: Side = 16
    """Street-view patch (checkpoint: patch projection 768 x 3 x 16 x 16)."""
    sv_width: Width = 768
    """Street-view token width (ViT-B/16, https://arxiv.org/abs/2010.11929, table 1)."""
    sv_depth: Depth = 12
    """Street-view blocks (ViT-B)."""
    sv_heads: Heads = 12
    """Street-view attention heads (ViT-B)."""
    sv_norm_eps: Annotated[float, Range(0, 1)] = 1e-12
    """Layer-norm epsilon of Hugging Face's ViTModel, which the release uses."""

    rs_bands: Annotated[tuple[LINE, ...], Length(1, 13)] = GAIR_BANDS
    """Sentinel-2 bands, in input order (CROMA's optical bands less B1 and B9)."""
    rs_frame_px: Side = 96
    """Side of the remote-sensing input (checkpoint: 144 positions = 12 x 12 patches)."""
    rs_patch_px: Side = 8
    """Remote-sensing patch (checkpoint: patch projection 768 x 640, 640 = 10 x 8 x 8)."""
    rs_depth: Depth = 12
    """Remote-sensing blocks (CROMA-B optical, https://arxiv.org/abs/2311.00566)."""
    rs_heads: Heads = 16
    """Remote-sensing attention heads (CROMA-B); each has its own ALiBi slope."""
    rs_final_norm: bool = False
    """Whether a layer norm closes the remote-sensing encoder. CROMA trains with one; the released
    inference code leaves it out, so a checkpoint that carries it turns this on."""

    inr_hidden: Annotated[tuple[Width, ...], Length(0, 32)] = ()
    """Widths of the hidden ReLU layers of NILI's decoder. Empty is the release: one affine layer.
    LIIF has (256, 256, 256, 256) (https://arxiv.org/abs/2012.09161, section 3)."""

    location_sigmas: Annotated[tuple[Annotated[float, Range(1e-6, 1e6)], ...], Length(1, 32)] = (
        1.0,
        16.0,
        256.0,
    )
    """Standard deviations of the frozen Fourier frequencies, one capsule each
    (GeoCLIP, https://arxiv.org/abs/2309.16020, with 2^0, 2^4, 2^8)."""
    location_frequencies: Width = 256
    """Frequencies a capsule (checkpoint: ``capsule.0.b`` is 256 x 2)."""
    location_hidden: Width = 1024
    """Width of a capsule's three hidden layers (checkpoint)."""

    footprint_mercator_m: Annotated[float, Range(1, WORLD_MERCATOR_M)] = ZOOM_14_TILE_M
    """Side of a frame in Web-Mercator metres: Streetscape1M frames are zoom-14 map tiles
    (paper, section 3). On the ground it is this times cos(latitude)."""
    temperature: Annotated[float, Range(1e-4, 1e4)] = 0.07
    """Softmax temperature of both contrastive losses (fixed in the release)."""

    def __post_init__(self) -> None:
        check_fields(self, ModelError, where="model config: ")
        odd = sorted(band for band in self.rs_bands if band not in LAYOUTS["l1c-13"])
        if odd or len(set(self.rs_bands)) < len(self.rs_bands):
            raise ModelError(
                f"rs_bands is {shown(self.rs_bands)}: name bands of Sentinel-2, each once"
            )
        if self.sv_image_px % self.sv_patch_px or self.rs_frame_px % self.rs_patch_px:
            raise ModelError(
                f"image sides must be multiples of the patches: street view {self.sv_image_px}"
                f"/{self.sv_patch_px}, remote sensing {self.rs_frame_px}/{self.rs_patch_px}"
            )
        self._check_stem()
        sv_width = self.sv_channels[-1] if self.stem == "conv" else self.sv_width
        if sv_width % self.sv_heads or self.dim % self.rs_heads:
            raise ModelError(
                f"widths must be multiples of the heads: street view {sv_width}"
                f"/{self.sv_heads}, remote sensing {self.dim}/{self.rs_heads}"
            )
        if self.rs_heads * self.rs_grid**4 > MOST_BIASES:
            raise ModelError(
                f"rs_frame_px is {self.rs_frame_px} and rs_patch_px {self.rs_patch_px}: frames of "
                f"{self.rs_grid} x {self.rs_grid} tokens are too many for {self.rs_heads} heads"
            )

    def _check_stem(self) -> None:
        """Refuse stages that do not fit the stem or the patches."""
        for tower, patch_px, first_px in (
            ("sv", self.sv_patch_px, 2),  # 4 px patches, then halved
            ("rs", self.rs_patch_px, 1),
        ):
            channels: tuple[int, ...] = getattr(self, f"{tower}_channels")
            residuals: tuple[int, ...] = getattr(self, f"{tower}_residuals")
            readers = {"sv": (self.sv_hidden,), "rs": (self.rs_hidden, self.rs_windows)}[tower]
            if self.stem == "patch":
                if any(readers):
                    raise ModelError(
                        f"sv_hidden is {self.sv_hidden}, rs_hidden {self.rs_hidden} and rs_windows "
                        f"{self.rs_windows}: leave them away with stem patch, or choose stem conv"
                    )
                if channels or residuals:
                    raise ModelError(
                        f"{tower}_channels is {channels} and {tower}_residuals {residuals}: leave "
                        "them empty with stem patch, or choose stem conv"
                    )
                continue
            if patch_px != first_px * 2 ** len(channels) or not channels:
                raise ModelError(
                    f"{tower}_channels is {channels}: give one width for each halving, so that "
                    f"they come to {tower}_patch_px, {patch_px}"
                )
            if len(residuals) != len(channels):
                raise ModelError(
                    f"{tower}_residuals is {residuals}: give one count for each of "
                    f"{tower}_channels, {channels}"
                )
        if bool(self.rs_windows) != bool(self.rs_hidden):
            raise ModelError(
                f"rs_windows is {self.rs_windows} and rs_hidden {self.rs_hidden}: give both, or "
                "neither"
            )
        even = [side for side in self.rs_windows if side % 2 == 0]
        if even:
            raise ModelError(
                f"rs_windows is {self.rs_windows}: windows lie around a token, so their sides are "
                f"odd, and {even[0]} is not"
            )

    @property
    def rs_grid(self) -> int:
        """Tokens along one side of a frame (12 in the release)."""
        return self.rs_frame_px // self.rs_patch_px

    def footprint_ground_m(self, latitude_deg: float) -> float:
        """Side of a frame on the ground at a latitude, metres."""
        return self.footprint_mercator_m * math.cos(math.radians(latitude_deg))

    def without_averages(self) -> GairConfig:
        """The same without what needs no training: as a training takes it."""
        return dataclasses.replace(self, sv_mirrored=False, rs_blur=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for ``config.json``.

        What came after the release is mentioned only where it differs from it (:data:`_LATER`):
        other configurations, and the fingerprints made from them, read as they always did.
        """
        values = dataclasses.asdict(self)
        return {name: v for name, v in values.items() if name not in _LATER or v != _LATER[name]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> GairConfig:
        """The inverse of :meth:`to_dict`; an unknown or missing field is refused by name."""
        if not isinstance(values, dict):
            raise ModelError(f"model config is {shown(values)}: it must be an object with fields")
        names = {field.name for field in dataclasses.fields(cls)}
        odd = sorted(names.symmetric_difference({**_LATER, **values}))
        if odd:
            told = ", ".join(shown(name) for name in odd[:5])
            raise ModelError(f"model config has unknown or missing fields: {told}")
        return cls(**tuples_of_lists(cls, values))


_LATER: dict[str, Any] = {
    name: getattr(GairConfig(), name)
    for name in (
        "inr_hidden", "stem", "sv_channels", "sv_residuals", "rs_channels", "rs_residuals",
        "sv_hidden", "rs_windows", "rs_hidden", "sv_mirrored", "rs_blur",
    )
}  # fmt: skip
"""Fields that the first configurations did not have, with what those meant."""


PRESETS: dict[str, GairConfig] = {
    "base": GairConfig(),
    # The same structure at 5.8 million parameters, for CPUs, demos and tests.
    "tiny": GairConfig(
        dim=192,
        sv_width=192,
        sv_depth=6,
        sv_heads=3,
        rs_depth=4,
        rs_heads=4,
        location_hidden=256,
    ),
    # What the model that ships begins as, 3.7 million parameters, before it is given more blocks
    # and second readers (make demo-model). Its frames are zoom-15 tiles, which at 38 degrees north,
    # where the synthetic cities lie, are 96 pixels of Sentinel-2 wide.
    "demo": GairConfig(
        dim=128,
        stem="conv",
        sv_channels=(32, 64, 128),
        sv_residuals=(1, 1, 2),
        rs_channels=(48, 96, 128),
        rs_residuals=(0, 0, 2),
        sv_image_px=96,
        sv_width=256,
        sv_depth=0,
        sv_heads=4,
        rs_depth=1,
        rs_heads=4,
        rs_final_norm=True,
        location_sigmas=(1.0, 16.0, 256.0, 4096.0),
        location_hidden=256,
        footprint_mercator_m=ZOOM_14_TILE_M / 2,
    ),
}
"""Named configurations: ``base`` is the release, ``tiny`` its structure for a CPU; ``demo`` has
convolutional stems."""


def preset(name: str) -> GairConfig:
    """A named configuration; an unknown name lists the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        names = ", ".join(PRESETS)
        raise ModelError(f"unknown model preset {name!r}; there are: {names}") from None
