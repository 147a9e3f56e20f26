"""App: a server with a page and an API that tells where a street photo may have been taken.

The way of a question, from the outside in:

* :mod:`app.cli`, :mod:`app.options`: flags; :mod:`app.demo` makes an index first.
* :mod:`app.server`: opens everything, listens, and ends it.
* :mod:`app.http`: guard, API for programs. :mod:`app.page`: requests of the page and its replies.
* :mod:`app.views`: HTML, map data and files of answers.
* :mod:`app.engine`: admission, photos, batches, indexes.
* :mod:`app.examples`: sample photos to try.
"""
