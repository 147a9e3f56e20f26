"""Data sets of street photos of many cities, made from what the public may have.

``python -m training.dataset streetscapes`` reads lists of photos (Global Streetscapes, OSV-5M,
Mapillary's coverage tiles, KartaView's listings), chooses some, fetches them, and packs them with
Sentinel-2 frames of several dates. In the order of the work:

* :mod:`.tables`, :mod:`.listings`: which photos there are.
* :mod:`.selection`: which of these candidates to have.
* :mod:`.web`, :mod:`.providers`, :mod:`.fetch`: asking for them, and for nothing twice.
* :mod:`.journal`: what has come so far; a build that dies goes on from there.
* :mod:`.build`: the recipe; :mod:`.estimate` what it will cost, :mod:`.card` what came of it.
"""
