"""Comparisons of a model with what others published of it.

:mod:`~gair.check.pairs` has the nine cosines of the authors' repository,
:mod:`~gair.check.coordbench` the model's row of a benchmark of location encoders.
"""
