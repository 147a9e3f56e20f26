"""What pretraining is good for: the paper's ten tasks, for GAIR and for whatever stands beside it.

Three pipelines, one a file, as in the paper's figure 3: :mod:`~training.finetune.street_view`,
:mod:`~training.finetune.remote_sensing` and :mod:`~training.finetune.location` (with the species
prior in :mod:`~training.finetune.species`). Each takes any encoder that keeps to
:class:`training.finetune.encoders.encoder.Encoder`.
"""
