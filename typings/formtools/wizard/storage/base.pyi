from typing import Any

from django.core.files.storage import Storage
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.datastructures import MultiValueDict

class BaseStorage:
    step_data_key: str
    extra_data_key: str
    prefix: str
    request: HttpRequest
    data: dict[str, Any]
    current_step: str | None
    extra_data: dict[str, Any]
    def __init__(self, prefix: str, request: HttpRequest, file_storage: Storage | None = None) -> None: ...
    def init_data(self) -> None: ...
    def reset(self) -> None: ...
    def get_step_data(self, step: str) -> MultiValueDict[str, Any] | None: ...
    def set_step_data(self, step: str, cleaned_data: dict[str, Any]) -> None: ...
    def update_response(self, response: HttpResponseBase) -> None: ...
