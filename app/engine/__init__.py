"""Engine of the app: photos in, answers out, within limits; it knows of no HTTP.

* :mod:`~app.engine.engine`: the way of a question, from admission to answer.
* :mod:`~app.engine.admission`, :mod:`~app.engine.limits`: how much is taken on.
* :mod:`~app.engine.uploads`: photos, for as long as they are held.
* :mod:`~app.engine.batches`: what waits at one moment is computed together.
* :mod:`~app.engine.score_cache`: photos that were encoded already.
* :mod:`~app.engine.indexes`: the indexes that can be asked.
"""
