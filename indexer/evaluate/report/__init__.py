"""Report of an evaluation: ``report`` writes it, ``plots`` draws its figures.

The page is made of the templates beside them, numbers in the words of ``wording``.
"""
