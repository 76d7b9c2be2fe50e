"""The application: pages, the API, static files; each address is one line of a table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from gpusizer.i18n import LANGUAGES
from gpusizer.web.asking import answered
from gpusizer.web.job import PAGE, PART, Job
from gpusizer.web.settings import Settings
from gpusizer.web.work import Work

__all__ = ["create_app"]

_PAGES = {"/": ("plan", PAGE), "/answer": ("plan", PART), "/report": ("plan", "html")}
"""Addresses of pages: what is asked, and the form of the answer."""


def create_app(settings: Settings) -> FastAPI:
    """The application that a server runs.

    Parameters
    ----------
    settings : Settings
        Who may ask it, how much, and how long.
    """
    work = Work(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await work.warm([Job("plan", PAGE, language, root_path=settings.root_path) for language in LANGUAGES])
        yield

    app = FastAPI(title="gpusizer", version=version("gpusizer"), docs_url=None, redoc_url=None, lifespan=lifespan, root_path=settings.root_path)
    app.state.work = work
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    for path, (kind, form) in _PAGES.items():
        _add_page(app, path, kind, form)

    @app.get("/healthz", response_model=dict[str, str])
    async def healthz() -> dict[str, str]:
        """Whether it answers."""
        return {"status": "ok", "version": version("gpusizer")}

    @app.get("/api/v1/plan")
    async def plan(request: Request) -> Response:
        """From a need to hardware."""
        return await answered(request, "plan", "json")

    return app


def _add_page(app: FastAPI, path: str, kind: str, form: str) -> None:
    async def page(request: Request) -> Response:
        return await answered(request, kind, form)

    app.add_api_route(path, page, include_in_schema=False, methods=["GET"])
