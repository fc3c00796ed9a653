"""Dropout of random bytes, as a function and in a model."""

from pathlib import Path

import pytest

import tiny

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

INPUTS = {"input_ids": [[2, 7, 3, 8, 9, 3]], "attention_mask": [[1, 1, 1, 1, 1, 0]]}


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_dropout_drops_its_share_and_keeps_the_mean(probability: float) -> None:
    from polyspan.training.dropout import STEPS, dropout

    torch.manual_seed(0)
    found = dropout(torch.ones(3, 100_003), probability, training=True)
    share = round(probability * STEPS) / STEPS
    assert float((found == 0).float().mean()) == pytest.approx(share, abs=0.005)
    assert float(found.mean()) == pytest.approx(0.0 if share == 1 else 1.0, abs=0.01)
    assert len(set(found.flatten().tolist())) == (1 if share == 1 else 2)


def test_dropout_is_the_seeds_alone_and_off_outside_training() -> None:
    from polyspan.training.dropout import dropout

    values = torch.randn(7, 13, requires_grad=True)
    assert dropout(values, 0.5, training=False) is values
    assert torch.equal(dropout(values, 0.0, training=True), values)
    torch.manual_seed(4)
    one = dropout(values, 0.5, training=True)
    torch.manual_seed(4)
    assert torch.equal(dropout(values, 0.5, training=True), one)
    (gradient,) = torch.autograd.grad(one.sum(), values)
    assert torch.equal(gradient, torch.where(one == 0, 0.0, 2.0))


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_dropout_in_a_model_changes_nothing_but_the_draws(architecture: str, tmp_path: Path) -> None:
    from polyspan.backends import ModelFolder
    from polyspan.training.dropout import CheapDropout, use_cheap_dropout
    from polyspan.training.model import open_model

    folder = ModelFolder(tiny.make_reader_folder(tmp_path / "reader", architecture))
    plain, model = open_model(folder).eval(), open_model(folder).eval()
    use_cheap_dropout(model)
    assert not any(type(module) is torch.nn.Dropout for module in model.modules())
    changed = [module for module in model.modules() if isinstance(module, CheapDropout)]
    assert changed
    inputs = {name: torch.tensor(values) for name, values in INPUTS.items()}
    with torch.no_grad():
        expected, found = plain(**inputs).start_logits, model(**inputs).start_logits
        assert torch.allclose(found[:, :5], expected[:, :5], atol=1e-4)
        for module in changed:
            module.p = 0.5
        torch.manual_seed(1)
        model.train()
        drawn = model(**inputs).start_logits
        assert not torch.allclose(drawn, found, atol=1e-3)
        torch.manual_seed(1)
        assert torch.equal(model(**inputs).start_logits, drawn)


def test_dropout_of_attention_is_the_windows_common_and_the_heads_own() -> None:
    from polyspan.training.dropout import _attend

    torch.manual_seed(2)
    query, key, value = torch.randn(3, 1, 4, 16, 8).expand(3, 5, 4, 16, 8)
    module = torch.nn.Module().train()
    _, drawn = _attend(module, query, key, value, None, dropout=0.5)
    _, plain = _attend(module.eval(), query, key, value, None, dropout=0.5)
    assert torch.equal(drawn[0], drawn[4])
    assert not torch.equal(drawn[0, 0] == 0, drawn[0, 1] == 0)
    assert float((drawn == 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    assert torch.allclose(drawn, torch.where(drawn == 0, 0.0, 2 * plain))
