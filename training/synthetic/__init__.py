"""A synthetic world: cities that exist nowhere, seen from above and from the street.

A city is drawn from a seed: :mod:`~training.synthetic.layout` (where streets, lots and water are)
and :mod:`~training.synthetic.style` (what they look like) become rasters in
:mod:`~training.synthetic.world`, which a Sentinel-2-like sensor
(:mod:`~training.synthetic.sentinel`) and cameras in the streets
(:mod:`~training.synthetic.street`) look at. :mod:`~training.synthetic.city` puts it on the globe,
:mod:`~training.synthetic.dataset` writes training shards of many, :mod:`~training.synthetic.files`
the files of one, :mod:`~training.synthetic.labels` tells what is where.

Both views show the same buildings, trees and ground, so a model can learn to match them; nothing
else tells where a photo was taken. What such a model learns says nothing about real cities.
"""
