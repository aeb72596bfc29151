"""Columns become tokens, many columns few tokens, and what a row says depends on how its columns go together."""

import io
import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from search_spaces.attention import Encoder, TransformerBlock
from search_spaces.columns import NoEmbedding, Periodic, PiecewiseLinear
from search_spaces.ft_transformer import FTTransformer
from search_spaces.language import Space
from search_spaces.made_up import made_up_batch
from search_spaces.spec import CategoricalColumn, Classes, NumericColumn, Table, Values
from search_spaces.testing import INPUTS, OUTPUTS, check_family
from search_spaces.text_branch import NoTexts, TokenConvolution

NUMBER = NumericColumn("x", 0.0, 0.58, tuple(i / 24 - 1 for i in range(49)), 0.0)
EMBEDDINGS = [NoEmbedding(), PiecewiseLinear(width=3), Periodic(width=3)]
SMALL = Encoder(width=32, head_width=16, blocks=(TransformerBlock(),))


def build(net: FTTransformer, inputs, outputs=OUTPUTS["multiclass"]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return net.build(inputs, outputs)


@pytest.mark.slow  # in the registry's tests by its default
def test_conforms_over_texts():
    names, outputs = ("a text beside a number",), {"binary": OUTPUTS["binary"]}
    check_family(FTTransformer, {name: INPUTS[name] for name in names}, outputs, samples=1)


@pytest.mark.parametrize(("name", "tokens"), [
    ("numbers", 4), ("codes", 3), ("both", 1 + 6 + 3), ("texts beside columns", 1 + 6 + 3 + 2), ("unseen codes", 2),
])  # fmt: skip
def test_every_usable_column_is_a_token(name, tokens):
    network = build(FTTransformer(), INPUTS[name])
    batch = made_up_batch(INPUTS[name])
    made = network.tokens(*batch, *[None] * (3 - len(batch)))
    assert made.shape == (12, tokens, 64)
    torch.testing.assert_close(made[:, 0], made[:1, 0].expand(12, -1))


def test_texts_may_be_left_out_or_convolved():
    inputs = INPUTS["texts beside columns"]
    batch = made_up_batch(inputs)
    assert build(FTTransformer(texts=NoTexts()), inputs).tokens(*batch).shape[1] == 10
    assert build(FTTransformer(texts=TokenConvolution()), inputs).tokens(*batch).shape[1] == 12


@pytest.mark.parametrize("embedding", EMBEDDINGS, ids=lambda each: type(each).__name__)
def test_a_column_moves_its_own_token_alone(embedding):
    inputs = INPUTS["both"]
    tokens, (numeric, categorical) = build(FTTransformer(numeric=embedding), inputs).eval().tokens, made_up_batch(inputs)
    moved, other = numeric.clone(), categorical.clone()
    moved[:, 1], other[:, 1] = 9e5, 3
    moved[:, 4] = float("nan")
    changed = (tokens(moved, other, None) - tokens(numeric, categorical, None)).abs().amax((0, 2)) > 1e-6
    assert changed.nonzero().flatten().tolist() == [2, 5, 8]


@pytest.mark.parametrize("embedding", EMBEDDINGS, ids=lambda each: type(each).__name__)
def test_neighbours_share_tokens_where_columns_are_many(embedding):
    codes = tuple(CategoricalColumn("c", (0, 5, 5)) for _ in range(101))
    inputs = Table((NUMBER,) * 300, codes, 100)
    network = build(FTTransformer(numeric=embedding, most_tokens=10, encoder=SMALL), inputs)
    assert network.tokens.numbers.groups.together == 41
    numeric, categorical = torch.zeros(3, 300), torch.ones(3, 101, dtype=torch.int64)
    numeric[1, 299], categorical[2, 100] = 1.0, 2
    made = network.tokens(numeric, categorical, None)
    assert made.shape == (3, 1 + 8 + 3, 32)
    changed = (made - made[0]).abs().amax(2) > 1e-6
    assert [row.nonzero().flatten().tolist() for row in changed] == [[], [8], [11]]
    network(numeric, categorical).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_numbers_are_tokenised_as_in_the_paper():
    network = build(FTTransformer(scaling="standard"), Table((NUMBER,) * 3, (), 100))
    x, numbers = torch.rand(5, 3), network.tokens.numbers
    bent = numbers.curve(numbers.centre(x))
    expected = bent.unsqueeze(2) * numbers.weight[:, 0] + numbers.bias.view(3, -1)
    torch.testing.assert_close(numbers(x), expected)


def test_narrows_itself_to_the_columns():
    leaves = Space(FTTransformer, FTTransformer.narrow(INPUTS["numbers"], OUTPUTS["binary"])).leaves()
    assert leaves["most_tokens"].from_unit(0.0) == leaves["most_tokens"].from_unit(1.0) == 8
    assert not [path for path in leaves if path.startswith("texts/Token")]
    wide = Table((NUMBER,) * 900, (), 100)
    space = Space(FTTransformer, FTTransformer.narrow(wide, OUTPUTS["binary"]))
    assert space.leaves()["most_tokens"].from_unit(1.0) == 128
    assert space.default().most_tokens == 48


def test_starts_from_base_rates():
    network = build(FTTransformer(), INPUTS["both"], Classes((99, 1))).eval()
    assert network(*made_up_batch(INPUTS["both"])).softmax(1)[:, 0].mean().item() == pytest.approx(0.98, abs=0.06)


@pytest.mark.parametrize("embedding", EMBEDDINGS, ids=lambda each: type(each).__name__)
def test_learns_that_a_category_turns_a_number_round(embedding):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(600, 3, generator=generator) * 2 - 1
    codes = torch.randint(1, 3, (600, 1), generator=generator)
    labels = ((x[:, 0] > 0) ^ (codes[:, 0] == 1)).long()
    inputs = Table((NUMBER,) * 3, (CategoricalColumn("c", (0, 300, 300)),), 600)
    network = build(FTTransformer(numeric=embedding, encoder=SMALL), inputs, Classes((1, 1)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)
    for step in range(60):
        rows = slice(step % 4 * 100, step % 4 * 100 + 100)
        functional.cross_entropy(network(x[rows], codes[rows]), labels[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        right = network.eval()(x[400:], codes[400:]).argmax(1) == labels[400:]
    assert right.float().mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("embedding", EMBEDDINGS, ids=lambda each: type(each).__name__)
def test_onnx_agrees_at_other_sizes(embedding):
    import onnxruntime

    inputs = INPUTS["texts beside columns"]
    texts = TokenConvolution() if isinstance(embedding, PiecewiseLinear) else FTTransformer().texts
    network, batch = build(FTTransformer(numeric=embedding, texts=texts), inputs, Values(0.0, 1.0)).eval(), made_up_batch(inputs)
    size, length = torch.export.Dim("batch"), torch.export.Dim("length")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, batch, dynamo=True, verbose=False, opset_version=23,
            dynamic_shapes=({0: size}, {0: size}, {0: size, 2: length}), input_names=list(inputs.tensors),
        )  # fmt: skip
    stream = io.BytesIO(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(stream.getvalue(), providers=["CPUExecutionProvider"])
    for rows, steps in ((1, 18), (5, 30), (60, 4)):
        numeric, categorical, tokens = (tensor.repeat(5, *[1] * (tensor.ndim - 1))[:rows] for tensor in batch)
        tokens = functional.pad(tokens, (0, max(0, steps - 18)))[..., :steps]
        given = {"numeric": numeric.numpy(), "categorical": categorical.numpy(), "tokens": tokens.numpy()}
        with torch.no_grad():
            expected = network(numeric, categorical, tokens)
        np.testing.assert_allclose(session.run(None, given)[0], expected, atol=1e-4, rtol=1e-4)
