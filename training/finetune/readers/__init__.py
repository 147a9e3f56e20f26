"""Readers of downloaded data sets, each in the layout that its authors publish.

Scenes with masks: :mod:`~training.finetune.readers.burn_scars`,
:mod:`~training.finetune.readers.small_farms`, :mod:`~training.finetune.readers.south_sudan`. Places
with labels: :mod:`~training.finetune.readers.mosaiks`, :mod:`~training.finetune.readers.sightings`.
Photos with labels: :mod:`~training.finetune.readers.labelled_photos`. A file that is missing,
damaged or of another count than published is an error that names it
(:mod:`~training.finetune.readers.checking`). A file ``checksums.sha256`` (lines as ``sha256sum``
writes them) in a data set's folder is checked first.
"""
