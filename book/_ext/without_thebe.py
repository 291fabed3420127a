"""Pages without the scripts of sphinx-thebe: nothing here asks for a kernel, and they name things twice."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx


def leave_out(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Take them off the list of a page's scripts."""
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not _is_thebe(script)]


def _is_thebe(script: Any) -> bool:
    body = getattr(script, "attributes", {}).get("body") or ""
    return "thebe" in str(getattr(script, "filename", script) or "") or "THEBE_JS_URL" in body


def setup(app: Sphinx) -> dict[str, Any]:
    """Register it, after the extension that adds them."""
    app.connect("html-page-context", leave_out, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
