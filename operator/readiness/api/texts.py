"""Texts of what the operator writes back, with their caps."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

Label = Annotated[str, StringConstraints(max_length=63)]
ObjectKey = Annotated[str, StringConstraints(max_length=512)]
Word = Annotated[str, StringConstraints(max_length=64)]
Reason = Annotated[str, StringConstraints(max_length=1024)]
Sentence = Annotated[str, StringConstraints(max_length=1024)]
Glimpse = Annotated[str, StringConstraints(max_length=512)]
