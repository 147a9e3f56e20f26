"""Inputs: texts become values, and values are held against what their fields may hold."""
