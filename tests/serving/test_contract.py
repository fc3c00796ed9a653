"""What the OpenAPI document promises, held against what the server does with invented requests."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from polyspan.serving import FeedbackStore, ServeOptions, create_app
from serving_fakes import listening, open_collection

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 10


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_server_keeps_its_contract(tmp_path: Path, mode: GenerationMode) -> None:
    folder = tmp_path / "index"
    collection = open_collection(folder)
    collection.add("anna.txt", b"Anna lives in Rome .")
    asked: set[str] = set()
    with listening(create_app(collection, FeedbackStore(folder), ServeOptions())) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            if mode is GenerationMode.NEGATIVE and not (len(operation.body) or len(operation.query)):
                continue  # it takes nothing that could be wrong

            @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
            @given(operation.as_strategy(generation_mode=mode))
            def check(case: Case[Any]) -> None:
                case.call_and_validate(checks=CHECKS)

            check()
            asked.add(operation.path)
    assert {"/v1/answer", "/v1/documents", "/v1/explain", "/v1/feedback"} <= asked
