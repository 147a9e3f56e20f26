"""Page for people: a photo is dropped, its places come back ranked.

* :mod:`~app.page.page`: the page inside Gradio, its scripts and its theme.
* :mod:`~app.page.handlers`: the desk, which answers each kind of request.
* :mod:`~app.page.request`: requests as they are sent, checked.
* :mod:`~gair.coordinates.text`: coordinates as people paste them.
"""
