"""Gair: three encoders and an implicit neural representation that share one space.

A model holds weights and nothing else: how a frame is queried, whether vectors are normalised and
which form of NILI runs are arguments, so one model serves concurrent callers.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gair.processes.forks  # noqa: F401 (torch in a forked child)
from gair.checkpoints.checkpoint import open_checkpoint, write_folder
from gair.checkpoints.hub import HubAccess, push_folder
from gair.config import GairConfig, QueryMode, preset
from gair.encoders.initial import initial_state
from gair.encoders.inr import QUERY_MODES, Nili, interpolate_tokens
from gair.encoders.location import LocationEncoder
from gair.encoders.remote_sensing import RemoteSensingEncoder
from gair.encoders.street_view import StreetViewEncoder
from gair.errors import FootprintError, ModelError
from gair.info import UNTRAINED_LICENCE, ModelInfo

NiliForm = Literal["auto", "general", "dense"]
"""Which of the two equal forms of NILI runs; ``auto`` takes the cheaper one."""


class Gair(nn.Module):
    """The model of Liu et al. (arXiv 2503.16683): g, f with NILI, and e."""

    def __init__(self, config: GairConfig, info: ModelInfo) -> None:
        super().__init__()
        self.config = config
        self.info = info
        self.street_view = StreetViewEncoder(config)
        self.remote_sensing = RemoteSensingEncoder(config)
        self.inr = Nili(config.dim, config.inr_hidden)
        self.location = LocationEncoder(config)

    @classmethod
    def untrained(cls, preset_name: str = "tiny", *, seed: int = 0) -> Gair:
        """A model with random weights, the same for the same preset and seed."""
        config = preset(preset_name)
        info = ModelInfo(
            name=f"untrained-{preset_name}",
            licence=UNTRAINED_LICENCE,
            trained=False,
            source=f"untrained:{preset_name}:{seed}",
        )
        return cls.with_random_weights(config, info, seed)

    @classmethod
    def with_random_weights(cls, config: GairConfig, info: ModelInfo, seed: int) -> Gair:
        """A model with random weights, the same for the same configuration and seed."""
        model = cls.without_weights(config, info)
        model.load_state_dict(initial_state(model.state_dict(), config, seed), assign=True)
        return model

    @classmethod
    def without_weights(cls, config: GairConfig, info: ModelInfo) -> Gair:
        """A model whose tensors have shapes and no memory, for ``load_state_dict(assign=True)``."""
        with torch.device("meta"):
            model = cls(config, info)
        model.remote_sensing.compute_bias()
        return model.eval()

    def reconfigured(self, config: GairConfig) -> Gair:
        """The same weights, shared, under a configuration that needs no others.

        Raises:
            RuntimeError: its tensors have other names or shapes.
        """
        model = Gair.without_weights(config, self.info)
        model.load_state_dict(self.state_dict(), assign=True)
        return model

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        allow_unknown: bool = False,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
    ) -> Gair:
        """A model from wherever it is, in evaluation mode, on the CPU.

        Args:
            source: a folder written by :meth:`save_pretrained`; a release checkpoint file
                (``.pth``) or a folder that holds one; a Hugging Face id such as ``PingL/GAIR``;
                ``shipped:NAME`` for a model that comes with this package, such as
                ``shipped:demo``; or ``untrained:PRESET[:SEED]`` for random weights. Paths are
                looked at before the hub.
            allow_unknown: accept a release checkpoint with tensors nobody knows.
            revision: branch, tag or commit of a model on the hub; its main branch unless given.
            token: who asks the hub; what its own tools know unless given.
            cache_dir: where downloads are kept; where the hub's own tools keep them unless given.

        Raises:
            ModelError: there is no such model, or the hub cannot be reached.
            CheckpointError: its tensors are not this architecture's.
        """
        text = str(source)
        if text.startswith("untrained:"):
            _, name, *rest = text.split(":")
            if len(rest) > 1 or (rest and not re.fullmatch(r"[0-9]{1,9}", rest[0])):
                raise ModelError(
                    f"{text!r} is not untrained:PRESET[:SEED], for example untrained:tiny:0"
                )
            return cls.untrained(name, seed=int(rest[0]) if rest else 0)
        access = HubAccess(revision, token, cache_dir)
        checkpoint = open_checkpoint(source, allow_unknown=allow_unknown, access=access)
        model = cls.without_weights(checkpoint.config, checkpoint.info)
        model.load_state_dict(checkpoint.tensors(model.state_dict()), assign=True)
        return model

    def save_pretrained(self, folder: str | Path, *, half: bool = False, about: str = "") -> Path:
        """Write weights, config and card; each file appears whole or not at all.

        Args:
            folder: made if it is not there.
            half: store weights as float16, except frequencies; see
                :mod:`gair.checkpoints.checkpoint`.
            about: Markdown for the end of the card, from a heading ``## ...`` on.

        Raises:
            ModelError: a weight is too large for float16.
        """
        return write_folder(folder, self.config, self.info, self.state_dict(), half, about)

    def push_to_hub(
        self,
        hub_id: str,
        *,
        revision: str | None = None,
        token: str | None = None,
        private: bool = False,
        half: bool = False,
        about: str = "",
    ) -> str:
        """Push weights, config and card to the Hugging Face hub as one commit; returns its address.

        Args:
            hub_id: ``OWNER/NAME``; the repository is made if it is not there.
            revision: a branch that is there; the main one unless given.
            token: who pushes; what the hub's own tools know unless given.
            private: whether a repository that is made is private.
            half: as for :meth:`save_pretrained`.
            about: as for :meth:`save_pretrained`.

        Raises:
            ModelError: the hub refused, does not answer, or a weight is too large for float16.
        """
        with tempfile.TemporaryDirectory() as folder:
            saved = self.save_pretrained(folder, half=half, about=about)
            return push_folder(
                saved,
                hub_id,
                revision=revision,
                token=token,
                private=private,
                message=f"{self.info.name}, licence {self.info.licence}",
            )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.inr.first.weight.device

    def fingerprint(self) -> str:
        """A sha256 of every tensor's name, shape, type and bytes, and of the config.

        Equal for equal weights, however they were stored.
        """
        digest = hashlib.sha256(repr(sorted(self.config.to_dict().items())).encode())
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
        return digest.hexdigest()

    def encode_street_view(self, pixels: Tensor, *, normalize: bool = True) -> Tensor:
        """Photos to s.

        Args:
            pixels: (B, 3, S, S) from :func:`gair.preprocess.street_view_pixels`.
            normalize: whether to divide by the L2 norm.

        Returns:
            (B, D), comparable with :meth:`localize` and :meth:`encode_location`.
        """
        side = self.config.sv_image_px
        _check_shape("street-view pixels", pixels, (None, 3, side, side))
        return _normalized(self.street_view(pixels), normalize)

    def encode_remote_sensing(self, pixels: Tensor) -> Tensor:
        """Frames to token maps.

        Args:
            pixels: (B, C, H, W) from :func:`gair.preprocess.remote_sensing_pixels`; H and W are
                multiples of the patch, ``config.rs_frame_px`` in the release.

        Returns:
            (B, H/8, W/8, D), not normalised; row 0 is the north edge.
        """
        _check_shape("remote-sensing pixels", pixels, (None, len(self.config.rs_bands), None, None))
        if pixels.shape[2] % self.config.rs_patch_px or pixels.shape[3] % self.config.rs_patch_px:
            raise ModelError(
                f"remote-sensing pixels are {pixels.shape[2]} x {pixels.shape[3]}: sides must be "
                f"multiples of {self.config.rs_patch_px}"
            )
        return cast(Tensor, self.remote_sensing(pixels))

    def localize(
        self,
        token_maps: Tensor,
        xy: Tensor,
        *,
        mode: QueryMode = "nili",
        form: NiliForm = "auto",
        normalize: bool = True,
    ) -> Tensor:
        """Token maps to z at any points of their frames.

        Args:
            token_maps: (B, h, w, D) from :meth:`encode_remote_sensing`.
            xy: (B, N, 2) frame coordinates in [-1, 1], x right, y down, as
                :meth:`gair.geo.Footprint.frame_xy` gives them.
            mode: ``nili``, or one of the baselines ``bilinear``, ``bicubic``, ``mean``.
            form: which form of NILI; both give the same values. A decoder with hidden layers has
                only the general one.
            normalize: whether to divide by the L2 norm.

        Returns:
            (B, N, D).

        Raises:
            FootprintError: a point lies outside its frame.
        """
        _check_shape("token maps", token_maps, (None, None, None, self.config.dim))
        _check_shape("query points", xy, (token_maps.shape[0], None, 2))
        _check_inside(xy)
        if mode == "nili":
            z = self._nili(token_maps, xy.to(token_maps.dtype), form)
        elif mode == "mean":
            z = token_maps.mean(dim=(1, 2))[:, None].expand(-1, xy.shape[1], -1)
        elif mode in ("bilinear", "bicubic"):
            z = interpolate_tokens(token_maps, xy, mode)
        else:
            raise ModelError(f"unknown query mode {mode!r}; there are: {', '.join(QUERY_MODES)}")
        return _normalized(z, normalize)

    def _nili(self, token_maps: Tensor, xy: Tensor, form: NiliForm) -> Tensor:
        if form == "auto" and self.config.inr_hidden:
            form = "general"
        if form == "auto":
            # The decoder runs once a token in the dense form, four times a point in the other.
            per_frame = token_maps.shape[1] * token_maps.shape[2]
            form = "dense" if 4 * xy.shape[1] >= per_frame else "general"
        if form == "dense":
            return self.inr.dense(token_maps, xy)
        return self.inr.local_ensemble(token_maps, xy)

    def encode_location(self, lonlat_deg: Tensor, *, normalize: bool = True) -> Tensor:
        """Places to l: (N, 2) longitude, latitude in degrees to (N, D)."""
        _check_shape("locations", lonlat_deg, (None, 2))
        return _normalized(self.location(lonlat_deg), normalize)


def _normalized(vectors: Tensor, wanted: bool) -> Tensor:
    return F.normalize(vectors, dim=-1) if wanted else vectors


def _check_shape(what: str, tensor: Tensor, shape: tuple[int | None, ...]) -> None:
    fits = tensor.dim() == len(shape) and all(
        want is None or have == want for have, want in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ModelError(f"{what} have shape {tuple(tensor.shape)}; expected ({wanted})")


def _check_inside(xy: Tensor) -> None:
    if xy.numel() and not bool((xy.detach().abs() <= 1 + 1e-5).all()):  # NaN fails too
        worst = xy.detach().abs().nan_to_num(torch.inf).amax(-1).flatten().argmax()
        x, y = xy.detach().reshape(-1, 2)[worst].tolist()
        raise FootprintError(
            f"query point (x {x:.4f}, y {y:.4f}) is outside its frame, which spans [-1, 1]"
        )
