"""Exploring an index by the vectors that are in it: no photo is searched for its place here.

* ``similar.py``: places whose imagery looks like some places, and not like others;
* ``near_photos.py``: the reference photos of a place, by distance or by likeness;
* ``compare.py``: two photos, and how likely they were taken at one place;
* ``files.py``: the first two as GeoJSON and CSV.

Text finds nothing: the model has no tower for it.
"""
