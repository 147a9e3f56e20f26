"""Training data: photos and the Sentinel-2 frames around them, on disk and as batches.

* :mod:`training.dataset.shards`: photos, frames and their folder's format, its writer and reader.
* :mod:`training.dataset.batches.loader`: which photos make which batch; batches, by worker
  processes, resumable at any of them.

``python -m training.dataset`` packs photos and imagery into a data set and describes one.
"""
