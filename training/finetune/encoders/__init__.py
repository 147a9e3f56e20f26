"""Encoders that the tasks compare, behind one protocol.

:mod:`~training.finetune.encoders.opening` opens one by its name. Who encodes what:
:mod:`~training.finetune.encoders.gair_encoders` (GAIR's towers, and CROMA and GeoCLIP in their
shapes), :mod:`~training.finetune.encoders.timm_encoders` (timm's models, DINOv2, EfficientNet-Lite)
and :mod:`~training.finetune.encoders.satclip`; their weight files come from
:mod:`~training.finetune.encoders.fetching`. The protocol itself is
:class:`training.finetune.encoders.encoder.Encoder`: a new encoder gives an ``Adapted`` and a name.
"""
