"""Views of the page, made from plain values: HTML text, and data for the map.

No view imports Gradio or the engine, so all of them are tested without a server.

* :mod:`~app.views.shell`: the page before any question, with the examples.
* :mod:`~app.views.index_facts`: what is searched, and with which doubts.
* :mod:`~app.views.places`, :mod:`~app.views.claim`: cards of an answer, of a cell, of a verdict.
* :mod:`~app.views.pictures`: photos, satellite pictures, facts of photo files.
* :mod:`~app.views.map`, :mod:`~app.views.tiles`: data of the map, and its background.
* :mod:`~app.views.exports`, :mod:`~app.views.report`: answers as files.
* :mod:`~app.views.markup`: what all of them are written with.
"""
