"""Processes: what a program that forks finds in the child, and threads of torch."""
