"""Report of an evaluation: ``report`` puts the page together.

``sections`` and ``trust_sections`` hold its parts, ``plots`` its figures and ``markup`` the pieces
of HTML.
"""
