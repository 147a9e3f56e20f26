"""Measurements behind the tables of the README.

``cell_spacing`` compares cells of several sizes with refinement, and ``city_search`` measures one
model on one city, for ``python -m training.evaluate``.
"""
