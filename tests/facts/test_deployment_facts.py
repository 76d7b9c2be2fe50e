"""What is known of images, device plugins and containers: each with its source, each of something that the catalogue has."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from importlib import import_module
from typing import Any

import pytest

from conftest import ROOT
from gpusizer.engines import declarations
from gpusizer.engines.base.pasted import read_command
from gpusizer.facts.catalog import accelerators
from gpusizer.facts.deployment import image_of
from gpusizer.facts.vendors import read_vendors
from gpusizer.i18n import has
from gpusizer.planning.deploy import TARGETS

TABLE: dict[str, Any] = tomllib.loads((ROOT / "src/gpusizer/facts/data/deployment.toml").read_text(encoding="utf-8"))
ENTRIES = [(kind, each) for kind in ("resource", "devices", "image", "target") for each in TABLE[kind]]


@pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=lambda each: each if isinstance(each, str) else each.get("name", each.get("vendor")))
def test_every_entry_has_a_source_and_a_subject(kind: str, entry: dict[str, Any]) -> None:
    assert len(entry["source"]) > 20
    engines = {each.id for each in declarations()}
    assert {*entry.get("engines", ()), *([entry["engine"]] if "engine" in entry else [])} <= engines
    if kind != "target":
        assert entry["vendor"] in read_vendors()
        own = [each.id for each in accelerators() if each.vendor == entry["vendor"]]
        assert all(any(fnmatchcase(id, pattern) for id in own) for pattern in entry.get("ids", ()))


def test_every_image_is_read_as_its_engine() -> None:
    """A pasted ``docker run`` of the image that we name starts the engine that we mean."""
    for entry in TABLE["image"]:
        device = next(each for each in accelerators() if each.vendor == entry["vendor"] and fnmatchcase(each.id, entry.get("ids", ["*"])[0]))
        image = image_of(entry["engine"], device, "0.30.0")
        assert image is not None
        assert read_command(["docker", "run", image.name, "--port", "1"]).engine == entry["engine"], image


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_a_module_with_a_name_in_words(target: str) -> None:
    assert callable(import_module(f"gpusizer.rendering.deployment.targets.{target.replace('-', '_')}").write)
    assert has("deploy", f"target-{target}", "en")
    assert has("deploy", f"target-{target}", "zh")
