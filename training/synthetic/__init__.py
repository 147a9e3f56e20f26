"""A synthetic world: cities that exist nowhere, seen from above and from the street.

A city is drawn from a seed (:mod:`~training.synthetic.drawing`) with a style
(:mod:`~training.synthetic.style`) as a :mod:`~training.synthetic.world`, which a Sentinel-2-like
sensor (:mod:`~training.synthetic.sentinel`) and cameras in the streets
(:mod:`~training.synthetic.street`) look at, under :mod:`~training.synthetic.conditions` of a day.
:mod:`~training.synthetic.city` puts it on the globe, :mod:`~training.synthetic.album` plans and
takes its photos, :mod:`~training.synthetic.dataset` writes a training data set of many, whose
photos :mod:`~training.synthetic.drawn` draws in training, :mod:`~training.synthetic.files` the
files of one, :mod:`~training.synthetic.areas` says where training photos may not come from,
:mod:`~training.synthetic.labels` tells what is where.

Both views show the same buildings, trees and ground, so a model can learn to match them; nothing
else tells where a photo was taken. What such a model learns says nothing about real cities.
"""
