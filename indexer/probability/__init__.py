"""Probabilities from scores: arrays in, arrays out, with no photo, model or index file.

``posterior.py`` gives cells a probability, ``conformal.py`` makes regions, ``confidence.py``
says how likely a best guess is near enough, ``out_of_index.py`` whether the photo is from the index
at all. ``claims.py`` compares a claimed place with others, and ``verdicts.py`` puts that in words.
``reliability.py`` measures how well probabilities hold. What was fitted and measured is a
``Calibration`` (``calibration.py``), which also has its file.
"""
