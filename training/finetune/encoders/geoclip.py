"""GeoCLIP's location encoder, read from its weight file (MIT, https://arxiv.org/abs/2309.16020).

Its package ships the weights and need not be imported, so none of what it needs is. The design is
that of GAIR's encoder e with heads of width 512, so ours runs it; the paper's e starts from it.
"""

from __future__ import annotations

from gair.arrays import Floats
from training.finetune.encoders.encoder import Adapted
from training.finetune.encoders.fetching import installed
from training.finetune.encoders.gair_encoders import location_encoder, location_model

WEIGHTS = "model/weights/location_encoder_weights.pth"
WIDTH = 512
_REMEDY = "pip install --no-deps geoclip==1.3.0"


def geoclip_encoder(source: str = "") -> Adapted[Floats]:
    """GeoCLIP's location encoder, (N, 2) degrees to (N, 512).

    Args:
        source: the weight file; empty for that of the installed package.

    Raises:
        ModelError: there is none.
        CheckpointError: it holds other tensors.
    """
    from gair.model import ModelInfo
    from training.pretraining.initialise import initialise_towers

    path = installed(source, "geoclip", WEIGHTS, remedy=_REMEDY)
    model = location_model(WIDTH, ModelInfo("GeoCLIP", "MIT", trained=True, source=str(path)), 0)
    initialise_towers(model, location=str(path))
    return location_encoder(model)
