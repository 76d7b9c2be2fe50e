"""What MkDocs is told beside ``mkdocs.yml``: the documents of the root are pages as well, so that nothing is written twice."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
SHARED = ("CONTRIBUTING.md", "AGENTS.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them beside the two languages."""
    for name in SHARED:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to them, which stand one folder higher in the repository."""
    return markdown.replace("](../../", "](../")
