"""Reference photos: photos of known places beside an index, as a third kind of evidence.

In the order of the work:

* :mod:`.photo_table`, :mod:`.manifest`: what is kept of a photo, and of a set of them.
* :mod:`.write`: a set, whole or not at all; :mod:`.reference_photos` opens one.
"""
