"""Calibration on photos whose place is known: from a search space to a ``Calibration``.

``calibrate.py`` is the recipe: ``fit_posterior.py`` fits the weights of scores on some photos, and
``held_out.py`` looks at the others as a search would; what they show is summed up. The curves and
the file are those of :mod:`indexer.probability`.
"""
