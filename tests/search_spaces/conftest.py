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


@pytest.fixture
def check_onnx_lengths():
    """Return a function that writes a network of sequences or texts as ONNX and compares it with torch at other lengths."""
    import onnxruntime

    from search_spaces.made_up import made_up_batch, padded
    from search_spaces.recurrence import translations

    def check(network, inputs) -> None:
        batch, names = made_up_batch(inputs), {name for free in inputs.free for name in free.values()}
        sizes = {name: torch.export.Dim(name) for name in names}
        shapes = tuple({axis: sizes[name] for axis, name in free.items()} for free in inputs.free)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                batch,
                dynamo=True,
                opset_version=23,
                dynamic_shapes=(shapes,),
                input_names=inputs.tensors,
                custom_translation_table=translations(),
                verbose=False,
            )
        session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
        for rows, steps in ((1, 0), (2, 5), (9, 300)):
            part = padded(inputs, tuple(tensor[:rows] for tensor in batch), steps)
            fed = {name: tensor.contiguous().numpy() for name, tensor in zip(inputs.tensors, part, strict=True)}
            with torch.no_grad():
                np.testing.assert_allclose(session.run(None, fed)[0], network(*part), atol=1e-4, rtol=1e-4)
        one = tuple(tensor[:3, :1] if free.get(1) else tensor[:3] for tensor, free in zip(batch, inputs.free, strict=True))
        fed = {name: tensor.contiguous().numpy() for name, tensor in zip(inputs.tensors, one, strict=True)}
        with torch.no_grad():
            np.testing.assert_allclose(session.run(None, fed)[0], network(*one), atol=1e-4, rtol=1e-4)

    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield check
    logger.setLevel(level)
