import logging
import warnings

import numpy as np
import pytest
import torch


@pytest.fixture
def check_onnx():
    """Return a function that writes a network of images as ONNX and compares it with torch at other batch sizes."""
    import onnxruntime

    def check(network, images) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                (images[:3],),
                dynamo=True,
                opset_version=23,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["images"],
                verbose=False,
            )
        written = program.model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
        for rows in (1, 2, 9):
            came = session.run(None, {"images": images[:rows].contiguous().numpy()})[0]
            np.testing.assert_allclose(came, network(images[:rows]).detach(), atol=1e-5, rtol=1e-5)

    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield check
    logger.setLevel(level)
