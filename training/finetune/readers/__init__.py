"""Readers of downloaded data sets, each in the layout that its authors publish.

A file that is missing, damaged or of another count than published is an error that names it. A file
``checksums.sha256`` (lines as ``sha256sum`` writes them) in a data set's folder is checked first.
"""
