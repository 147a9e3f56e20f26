"""Measurements behind the tables of the docs.

``cell_spacing`` compares cells of several sizes with refinement, ``by_condition`` the answers about
photos of several conditions, ``similarity_maps`` draws figure 4 of the paper, and ``city_search``
measures one model on one city, for ``python -m training.evaluate``.
"""
