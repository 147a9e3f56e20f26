"""Readers of downloaded data sets, each in the layout that its authors publish.

:mod:`~training.finetune.readers.labelled_photos`,
:mod:`~training.finetune.readers.labelled_scenes` and
:mod:`~training.finetune.readers.labelled_places` by what is labelled. A file that is missing,
damaged or of another count than published is an error that names it
(:mod:`~training.finetune.readers.checking`). A file ``checksums.sha256`` (lines as ``sha256sum``
writes them) in a data set's folder is checked first.
"""
