"""Views of the page, made from plain values: HTML text, and data for the map.

No view imports Gradio or the engine, so all of them are tested without a server.

* :mod:`~app.views.index_facts`: what is searched, and with which doubts.
* :mod:`~app.views.cards`: cards of an answer, of a cell, of photo files, of a verdict.
* :mod:`~app.views.explored`: similar places, photos of a place, two photos; and their map.
* :mod:`~app.views.map`: data of the map.
* :mod:`~app.views.exports`, :mod:`~app.views.report`: answers as files.
* :mod:`~app.views.templates`: renders the templates beside the modules, which escape every value.
* :mod:`~app.views.wording`: numbers as people read them.
"""
