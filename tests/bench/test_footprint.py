from pathlib import Path

import numpy as np
import pytest

import tiny
from polyspan.bench.footprint import Errand, measure_footprint
from polyspan.errors import ModelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    path = tiny.make_reader_folder(tmp_path_factory.mktemp("model"))
    tiny.export_onnx(path)
    return path


def test_footprint_counts_the_process_alone(folder: Path) -> None:
    here = np.ones(80_000_000)  # 640 MB that are not the reader's
    errand = Errand(str(folder), 1, "Who wrote the letter?", tiny.SENTENCES[2], " ".join(tiny.SENTENCES), runs=2)
    found = measure_footprint(errand)
    assert here.nbytes > 600 * 2**20
    assert found.peak_bytes is None or 20 * 2**20 < found.peak_bytes < 500 * 2**20
    assert len(found.seconds) == 2
    assert min(found.seconds) < found.cold_start


def test_footprint_without_a_document_reads_one_paragraph(folder: Path) -> None:
    found = measure_footprint(Errand(str(folder), 1, "Who wrote the letter?", tiny.SENTENCES[2]))
    assert found.seconds == ()
    assert found.cold_start > 0


def test_footprint_of_a_model_that_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a process that reads with it failed: .*no config\.json"):
        measure_footprint(Errand(str(tmp_path), 1, "Who?", "Nobody."))
