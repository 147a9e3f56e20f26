"""Transfer of a pretrained encoder to the paper's ten tasks, beside whatever it is compared with.

The pipelines, as in the paper's figure 3: :mod:`~training.finetune.supervised` (street view and
location: a linear map, solved for or fitted), :mod:`~training.finetune.remote_sensing` (a UPerNet)
and :mod:`~training.finetune.species` (a prior over places). Each takes any
:class:`training.finetune.encoders.encoder.Encoder`; :mod:`~training.finetune.running` picks and
runs one of them, :mod:`~training.finetune.fitting` is their loop and
:mod:`~training.finetune.metrics` their scores.

Data come from :mod:`~training.finetune.readers`, named in :mod:`~training.finetune.tasks`, or need
no download: :mod:`~training.finetune.synthetic_tasks`, which
:mod:`~training.finetune.synthetic_table` puts together. A new task is a reader and a row of
``TASKS``.
"""
