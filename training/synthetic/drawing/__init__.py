"""Drawing of a city: everything that a world holds, from a seed.

From the top down: :mod:`.draw` fills a world. :mod:`.planting` grows trees on their sites
(:mod:`.sites`), :mod:`.housing` builds on the :mod:`.footprints` that stand on :mod:`.lots`,
:mod:`.floor` covers the ground, :mod:`.cells` makes the grids. :mod:`.layout` draws the
:mod:`.plan` of districts, streets and blocks, over the hills of :mod:`.relief`.
"""

from training.synthetic.drawing.draw import draw_plan, draw_world

__all__ = ["draw_plan", "draw_world"]
