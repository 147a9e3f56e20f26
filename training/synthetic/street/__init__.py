"""Street photos of a city, ray-cast through its houses, trees and ground.

From the top down: :mod:`.photograph` takes photos of the cameras that :mod:`.camera` places.
:mod:`.column` walks along the ray of one image column, front to back, over the ground
(:mod:`.floor`) and the houses (:mod:`.facade`), with :mod:`.shadow`; :mod:`.trees` and
:mod:`.things` (cars, lamps, people) are drawn over it against its depth; :mod:`.sky` lies behind,
and :mod:`.lens` makes a picture of it. :mod:`.light` says what day and weather do, :mod:`.stage`
packs a world for the loops, :mod:`.grain` is their noise.

A photo holds no text and nothing that tells its place but what imagery sees, too.
"""
