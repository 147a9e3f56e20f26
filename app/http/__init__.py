"""HTTP of the app: every request passes the guard, programs ask here, and the page is beside it.

* :mod:`~app.http.guard`: who may ask what, and the headers of every response.
* :mod:`~app.http.bodies`: request bodies, cut off and counted, and refusals.
* :mod:`~app.http.questions`: what programs can ask, and the JSON they get.
* Three ways to ask: :mod:`~app.http.routes`, :mod:`~app.http.mcp`,
  :mod:`~app.http.gradio_endpoints`.
* :mod:`~app.http.health`: whether the server is up, and how busy.
"""
