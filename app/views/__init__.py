"""What the page shows, made from plain values: HTML text and data for the map.

No view imports Gradio, so all of them are tested without a server.
"""
