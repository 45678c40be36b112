"""What is asked and answered, as OpenAPI describes it."""

import base64
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kddn.dehazer import MAXIMUM_STRENGTH
from kddn.filters import Floats
from kddn.inference.models import Output

Ending = Literal["avif", "bmp", "heic", "jp2", "jpg", "png", "ppm", "tiff", "webp"]

REFUSED = (400, 401, 403, 408, 413, 415, 422, 500, 503)
"""Statuses of a picture that is not done."""

SMALL = (400, 401, 403)
"""Statuses of other questions that are not answered."""


class WhichModel(BaseModel):
    """What can be said of any picture."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        None, description="Name of a model, as `/v1/models` lists them", examples=["kddn-photo"]
    )


class How(WhichModel):
    """How haze is removed, as for `kddn dehaze`."""

    strength: float = Field(
        1.0,
        ge=0,
        le=MAXIMUM_STRENGTH,
        description="How much of the haze to remove: 0 none, 1 what is found, 1.5 beyond",
    )
    full_resolution: bool = Field(
        False,
        description="Run the network on the picture's own size rather than on a small copy, on up "
        "to 2,048 pixels of length if its output is a map: slow",
    )
    format: Ending | None = Field(None, description="Another format than the picture's")


class Coefficients(BaseModel):
    """One number a place and channel."""

    channels: int = Field(description="1, which stands for all colours, or 3", examples=[3])
    values: str = Field(description="Base64 of float32, little-endian, in the order h, w, channel")

    @classmethod
    def of(cls, values: Floats) -> "Coefficients":
        """Of an array `h w c`."""
        packed = base64.b64encode(values.astype("<f4").tobytes())
        return cls(channels=values.shape[2], values=packed.decode())


class MapAnswer(BaseModel):
    """`clear = scale * hazy + offset`, bilinear between the centres of the places."""

    model: str
    height: int
    width: int
    haze: float = Field(description="Mean of 1 - t: 0 is clear, 1 is white")
    scale: Coefficients
    offset: Coefficients


class ModelAnswer(BaseModel):
    """A model that is offered."""

    name: str = Field(examples=["kddn-photo"])
    summary: str
    output: Output = Field(description="What its network puts out")
    working_size: int = Field(description="Longest side, in pixels, that it estimates at")
    stride: int = Field(description="What both sides of a small picture are multiples of")
    default: bool


class ModelsAnswer(BaseModel):
    """The models that are offered, the default first."""

    models: list[ModelAnswer]


_BYTES = {"type": "string", "format": "binary"}
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A picture file, as a form's field `picture` or as it is.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"picture": _BYTES},
                    "required": ["picture"],
                }
            },
            "image/*": {"schema": _BYTES},
            "application/octet-stream": {"schema": _BYTES},
        },
    }
}
HEADERS = {
    "X-Kddn-Seconds": "What the work took, without waiting",
    "X-Kddn-Haze": "Mean of 1 - t: 0 is clear, 1 is white",
    "X-Kddn-Model": "What removed it",
    "X-Kddn-Lost": "What the picture's file said that this one does not, by name",
}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The clear picture, its metadata kept",
        "content": {"image/*": {"schema": _BYTES}},
        "headers": {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in HEADERS.items()
        },
    }
}
