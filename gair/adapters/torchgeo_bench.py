"""Location encoder e as one of torchgeo-bench's, whose CoordBench track probes frozen encoders.

https://github.com/torchgeo/torchgeo-bench (MIT): a model's configuration names the class in
``target`` and gives its arguments; the runner calls ``encode(lon, lat, year)``. Importing this
needs a torchgeo-bench that has the track; release 0.4.0 does not, its repository does.
"""

from __future__ import annotations

import numpy as np
import torch

from gair.arrays import Floats, Floats32
from gair.errors import ModelError
from gair.info import import_problem
from gair.model import Gair

try:
    from torchgeo_bench.coordbench.models import LocationEncoder
except ImportError as error:
    _ABSENT = (
        "torchgeo-bench is not installed: it needs Python 3.12, and its CoordBench track a version "
        "above 0.4.0: pip install git+https://github.com/torchgeo/torchgeo-bench"
    )
    raise ModelError(import_problem(error, "torchgeo_bench", _ABSENT)) from error


class GairLocationEncoder(LocationEncoder):  # type: ignore[misc]
    """GAIR's location encoder, not normalised: 768 numbers a place with the released weights."""

    name = "gair"

    def __init__(
        self, model: str = "PingL/GAIR", device: str = "cpu", batch_size: int = 8192
    ) -> None:
        """Open a model.

        Args:
            model: whatever :meth:`gair.model.Gair.from_pretrained` takes.
            device: of torch; the CPU where it is not there.
            batch_size: places at once.
        """
        super().__init__(device=device, batch_size=batch_size)
        self.model = Gair.from_pretrained(model).to(self.device)

    def _encode(self, lon: Floats, lat: Floats, year: Floats | None) -> Floats32:
        """(N,) longitudes and latitudes in degrees to (N, D); e knows nothing of years."""
        lonlat_deg = torch.from_numpy(np.stack([lon, lat], axis=1).astype(np.float32))
        with torch.inference_mode():
            vectors = self.model.encode_location(lonlat_deg.to(self.device), normalize=False)
        encoded: Floats32 = vectors.float().cpu().numpy()
        return encoded
