"""The trained model as an ONNX graph, which serves it without TensorFlow if its scores are the same."""
