"""The documents that fetaledge writes: a JSON Schema file each, and tables of their keys for ``<!-- schemas -->``."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from fetaledge_runtimes.records import schemas

PACKAGES = ("fetaledge_runtimes", "fetaledge_export", "fetaledge_devices", "fetaledge_benchmarks", "fetaledge")
PLACE = "<!-- schemas -->"
ROLE = re.compile(r":\w+:`([^`]+)`")


def import_packages() -> None:
    """Import every module of the five packages, so that every document is known."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def document_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas of the packages' documents, by name."""
    import_packages()
    return {name: schema for name, schema in schemas().items() if name != "fetaledge/result-table/1"}


def file_name(name: str) -> str:
    """Where the schema of a document is published: ``fetaledge/run/1`` in ``schemas/run-1.json``."""
    return f"schemas/{name.removeprefix('fetaledge/').replace('/', '-')}.json"


def render(found: Mapping[str, dict[str, Any]]) -> str:
    """Each document's keys, types and defaults as Markdown."""
    return "\n".join(line for name, schema in found.items() for line in _document(name, schema))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by mkdocs: add the schema files."""
    for name, schema in document_schemas().items():
        text = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        files.append(File.generated(config, file_name(name), content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return markdown.replace(PLACE, render(document_schemas())) if PLACE in markdown else markdown


def _document(name: str, schema: dict[str, Any]) -> Iterator[str]:
    parts = schema["$defs"]
    roots = [_type(choice) for choice in schema.get("anyOf", [schema])]
    yield f"### {name}\n"
    yield f"[JSON Schema]({file_name(name)})\n"
    if len(roots) == 1:
        yield from _struct(parts[roots[0]])
    else:
        yield f"One of: {', '.join(roots)}.\n"
    for title, part in parts.items():
        if [title] != roots:
            yield f"#### {title} {{ #{name.replace('/', '-')}-{title.lower()} }}\n"
            yield from _struct(part)


def _struct(part: dict[str, Any]) -> Iterator[str]:
    description = ROLE.sub(r"`\1`", " ".join(part.get("description", "").split()))
    if description:
        yield f"{description}\n"
    if not part.get("properties"):
        yield f"`{_type(part)}`\n"
        return
    yield "| key | type | default |\n| --- | --- | --- |"
    for key, value in part["properties"].items():
        default = f"`{json.dumps(value['default'], ensure_ascii=False)}`" if "default" in value else ""
        yield f"| `{key}` | {_type(value)} | {default or ('required' if key in part.get('required', ()) else '')} |"
    yield ""


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        return str(value["$ref"].rpartition("/")[2])
    if "anyOf" in value:
        return " or ".join(_type(choice) for choice in value["anyOf"])
    if "enum" in value:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in value["enum"])
    if "prefixItems" in value:
        return f"[{', '.join(map(_type, value['prefixItems']))}]"
    kind = str(value.get("type", "any value"))
    if kind == "array" and isinstance(value.get("items"), dict):
        return f"list of {_type(value['items'])}"
    if kind == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"object of {_type(value['additionalProperties'])}"
    return kind
