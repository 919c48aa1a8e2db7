"""Residual networks as quantised ONNX models with random weights, ResNet-50 among them."""
