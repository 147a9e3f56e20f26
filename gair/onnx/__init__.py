"""ONNX: the image towers of a model for runtimes without torch."""
