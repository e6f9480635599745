"""A bundle for programs without lookalike: its network as ONNX, OpenVINO or TensorRT, and how images are read.

In reading order:

    onnx_draft       an ONNX graph while it is written: nodes, constants and names
    onnx_operations  each operation of OpenVINO as operations of ONNX
    onnx_graph       an OpenVINO graph as an ONNX model
    contract         what a program must know of the network, as JSON
    agreement        whether a written network gives the bundle's embeddings, on real images
    portable         the folder that is written
"""
