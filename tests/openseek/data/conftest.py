"""Documents in memory for the tests of this folder."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from openseek.data.document import DOCUMENT, document_id

Documents = Callable[..., pa.RecordBatch]


@pytest.fixture(scope="session")
def documents() -> Documents:
    """A function: texts (and language, source, script) to a batch of the document schema."""

    def make(texts: list[str], lang: str = "en", source: str = "web", script: str = "Latn") -> pa.RecordBatch:
        rows = [
            dict.fromkeys(DOCUMENT.names, "")
            | {"id": document_id(source, "test", i), "text": text, "lang": lang, "source": source, "script": script}
            for i, text in enumerate(texts)
        ]
        return pa.RecordBatch.from_pylist(rows, schema=DOCUMENT)

    return make
