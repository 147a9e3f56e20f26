"""Encoders that the tasks compare, all of one shape.

:mod:`~training.finetune.encoders.opening` opens one by its name. Who encodes what:
:mod:`~training.finetune.encoders.gair_encoders` (GAIR's towers, and CROMA and GeoCLIP in their
shapes), :mod:`~training.finetune.encoders.timm_encoders` (timm's models, DINOv2, EfficientNet-Lite)
and :mod:`~training.finetune.encoders.satclip`. The shape, and where weight files come from, are in
:mod:`~training.finetune.encoders.encoder`: a new encoder gives an ``Encoder`` and a name.
"""
