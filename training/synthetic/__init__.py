"""A synthetic world: cities that exist nowhere, seen from above and from the street.

A city is drawn from a seed (:mod:`~training.synthetic.world`), photographed by a Sentinel-2-like
sensor (:mod:`~training.synthetic.sentinel`) and from its streets
(:mod:`~training.synthetic.street`). Both views show the same buildings, trees and ground, so a
model can learn to match them; nothing else tells where a photo was taken. What such a model learns
says nothing about real cities.
"""
