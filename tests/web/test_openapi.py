"""The OpenAPI document says what the server does: no 5xx, no answer outside its schema, every example answered."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase

EXAMPLES = 12


@pytest.fixture(scope="module")
def schema(server: str) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(server + "/openapi.json")


api = schemathesis.pytest.from_fixture("schema")


@api.parametrize()
@hypothesis.settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate))
def test_the_server_keeps_its_description(case: schemathesis.Case) -> None:
    case.call_and_validate(timeout=60)
