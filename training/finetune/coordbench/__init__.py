"""CoordBench: what frozen encoders of coordinates know of 78 numbers and classes of places.

:mod:`~training.finetune.coordbench.suite` holds its tables and targets (the reader of its published
layout is :mod:`training.finetune.readers.coordinate_tables`),
:mod:`~training.finetune.coordbench.folds` divides places into folds,
:mod:`~training.finetune.coordbench.ridge` solves and scores linear maps, and
:mod:`~training.finetune.coordbench.row` makes a row of the benchmark's table.
"""
