"""Spares commands the checks of typer that can only say yes.

typer checks each value with an adapter of pydantic, defaults too; importing pydantic and building those takes half as
long as importing numpy and ONNX Runtime. A value that has its type and keeps its bounds comes out of that as it went
in, so it need not go in. Everything else, and with it every message, is still typer's.
"""

from __future__ import annotations

from typing import Any, get_args, get_origin


def spare_checks(command: Any) -> None:
    """Let a command ask typer only about values that typer may refuse or change.

    The parameters are reached as the command line is read: those for help and completion are not there before. A typer
    that checks in another way, as older ones do, is left alone.
    """
    parse = command.parse_args

    def parse_args(ctx: Any, args: list[str]) -> list[str]:
        for parameter in command.get_params(ctx):
            if hasattr(parameter, "get_runtime_param") and hasattr(parameter, "type_descriptor"):
                parameter.get_runtime_param = _Spared(parameter.get_runtime_param).itself
        return parse(ctx, args)

    command.parse_args = parse_args


class _Spared:
    """In the place of typer's own conversion of a parameter, which is built when it is needed."""

    def __init__(self, build: Any) -> None:
        self._build = build

    def itself(self) -> _Spared:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        annotation, info = param.type_descriptor.annotation, param.type_descriptor.parameter_info
        if many and get_origin(annotation) is list and type(value) in (tuple, list):
            kind = get_args(annotation)[0]
            if all(_stays(item, kind, info) for item in value):
                return list(value)
        elif not many and _stays(value, annotation, info):
            return value
        return self._build().coerce(value, param=param, ctx=ctx)


def _stays(value: Any, kind: Any, info: Any) -> bool:
    """Whether a value is exactly of a plain type, within what may be given."""
    if info.parser is not None or info.clamp or kind not in (str, int, float) or type(value) is not kind:
        return False
    if kind is str:
        return True
    return (info.min is None or value >= info.min) and (info.max is None or value <= info.max)
