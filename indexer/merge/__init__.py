"""Merge: several indexes as one."""
